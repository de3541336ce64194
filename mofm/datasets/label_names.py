"""Names of the labels of the data sets, in the order and spelling of their official lists.

The readers of :mod:`mofm.sources` write them into the files they make. For files without names,
such as those of PYSKL, ``MotionDataset(..., class_names='ntu60')`` supplies them.
"""

from typing import Dict, Tuple

_NTU60 = (
    'drink water', 'eat meal/snack', 'brushing teeth', 'brushing hair', 'drop', 'pickup', 'throw',
    'sitting down', 'standing up (from sitting position)', 'clapping', 'reading', 'writing',
    'tear up paper', 'wear jacket', 'take off jacket', 'wear a shoe', 'take off a shoe',
    'wear on glasses', 'take off glasses', 'put on a hat/cap', 'take off a hat/cap', 'cheer up',
    'hand waving', 'kicking something', 'reach into pocket', 'hopping (one foot jumping)',
    'jump up', 'make a phone call/answer phone', 'playing with phone/tablet',
    'typing on a keyboard', 'pointing to something with finger', 'taking a selfie',
    'check time (from watch)', 'rub two hands together', 'nod head/bow', 'shake head', 'wipe face',
    'salute', 'put the palms together', 'cross hands in front (say stop)', 'sneeze/cough',
    'staggering', 'falling', 'touch head (headache)', 'touch chest (stomachache/heart pain)',
    'touch back (backache)', 'touch neck (neckache)', 'nausea or vomiting condition',
    'use a fan (with hand or paper)/feeling warm', 'punching/slapping other person',
    'kicking other person', 'pushing other person', 'pat on back of other person',
    'point finger at the other person', 'hugging other person', 'giving something to other person',
    "touch other person's pocket", 'handshaking', 'walking towards each other',
    'walking apart from each other')
_NTU120 = (
    *_NTU60,
    'put on headphone', 'take off headphone', 'shoot at the basket', 'bounce ball',
    'tennis bat swing', 'juggling table tennis balls', 'hush (quite)', 'flick hair', 'thumb up',
    'thumb down', 'make ok sign', 'make victory sign', 'staple book', 'counting money',
    'cutting nails', 'cutting paper (using scissors)', 'snapping fingers', 'open bottle',
    'sniff (smell)', 'squat down', 'toss a coin', 'fold paper', 'ball up paper', 'play magic cube',
    'apply cream on face', 'apply cream on hand back', 'put on bag', 'take off bag',
    'put something into a bag', 'take something out of a bag', 'open a box', 'move heavy objects',
    'shake fist', 'throw up cap/hat', 'hands up (both hands)', 'cross arms', 'arm circles',
    'arm swings', 'running on the spot', 'butt kicks (kick backward)', 'cross toe touch',
    'side kick', 'yawn', 'stretch oneself', 'blow nose', 'hit other person with something',
    'wield knife towards other person', 'knock over other person (hit with body)',
    "grab other person's stuff", 'shoot at other person with a gun', 'step on foot', 'high-five',
    'cheers and drink', 'carry something with other person', 'take a photo of other person',
    'follow other person', "whisper in other person's ear", 'exchange things with other person',
    'support somebody with hand', 'finger-guessing game (playing rock-paper-scissors)')

#: Data set to the names of its labels 0, 1, ...
LABEL_NAMES: Dict[str, Tuple[str, ...]] = dict(
    ntu60=_NTU60,
    ntu120=_NTU120,
    penn_action=(
        'baseball_pitch', 'baseball_swing', 'bench_press', 'bowl', 'clean_and_jerk',
        'golf_swing', 'jump_rope', 'jumping_jacks', 'pullup', 'pushup', 'situp', 'squat',
        'strum_guitar', 'tennis_forehand', 'tennis_serve'),
    nw_ucla=(
        'pick_up_with_one_hand', 'pick_up_with_two_hands', 'drop_trash', 'walk_around',
        'sit_down', 'stand_up', 'donning', 'doffing', 'throw', 'carry'),
    utkinect=(
        'walk', 'sitDown', 'standUp', 'pickUp', 'carry', 'throw', 'push', 'pull',
        'waveHands', 'clapHands'),
    tsu=(
        'Enter', 'Walk', 'Make_coffee', 'Get_water', 'Make_coffee.Pour_water', 'Use_Drawer',
        'Make_coffee.Pour_grains', 'Use_telephone', 'Leave', 'Put_something_on_table',
        'Take_something_off_table', 'Pour.From_kettle', 'Stir_coffee/tea', 'Drink.From_cup',
        'Dump_in_trash', 'Make_tea', 'Make_tea.Boil_water', 'Use_cupboard', 'Insert_tea_bag',
        'Read', 'Take_pills', 'Use_fridge', 'Clean_dishes',
        'Clean_dishes.Put_something_in_sink', 'Eat_snack', 'Sit_down', 'Watch_TV', 'Use_laptop',
        'Get_up', 'Drink.From_bottle', 'Pour.From_bottle', 'Drink.From_glass', 'Lay_down',
        'Drink.From_can', 'Write', 'Breakfast', 'Breakfast.Spread_jam_or_butter',
        'Breakfast.Cut_bread', 'Breakfast.Eat_at_table', 'Breakfast.Take_ham',
        'Clean_dishes.Dry_up', 'Wipe_table', 'Cook', 'Cook.Cut', 'Cook.Use_stove', 'Cook.Stir',
        'Cook.Use_oven', 'Clean_dishes.Clean_with_water', 'Use_tablet', 'Use_glasses',
        'Pour.From_can'),
    smarthome=(
        'Cook.Cleandishes', 'Cook.Cleanup', 'Cook.Cut', 'Cook.Stir', 'Cook.Usestove', 'Cutbread',
        'Drink.Frombottle', 'Drink.Fromcan', 'Drink.Fromcup', 'Drink.Fromglass', 'Eat.Attable',
        'Eat.Snack', 'Enter', 'Getup', 'Laydown', 'Leave', 'Makecoffee.Pourgrains',
        'Makecoffee.Pourwater', 'Maketea.Boilwater', 'Maketea.Insertteabag', 'Pour.Frombottle',
        'Pour.Fromcan', 'Pour.Fromkettle', 'Readbook', 'Sitdown', 'Takepills', 'Uselaptop',
        'Usetablet', 'Usetelephone', 'Walk', 'WatchTV'),
)
