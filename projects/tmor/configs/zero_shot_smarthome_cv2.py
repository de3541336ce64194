# zero_shot_smarthome_cs.py, cross-view 2, 19 classes. Paper: top-1 7.0, with videos 17.4.
_base_ = 'zero_shot_smarthome_cs.py'
model = dict(
    cls_head=dict(classes=[
        'Cutbread', 'Drink.Frombottle', 'Drink.Fromcan', 'Drink.Fromcup', 'Drink.Fromglass',
        'Eat.Attable', 'Eat.Snack', 'Enter', 'Getup', 'Leave', 'Pour.Frombottle', 'Pour.Fromcan',
        'Readbook', 'Sitdown', 'Takepills', 'Uselaptop', 'Usetablet', 'Usetelephone', 'Walk'
    ]))
val_dataloader = dict(
    dataset=dict(
        split='cv_test',
        classes=[5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 20, 21, 23, 24, 25, 26, 27, 28, 29]))
test_dataloader = val_dataloader
