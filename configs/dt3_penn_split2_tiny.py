# DT3 on Penn Action, the second split of dt3_penn_split1_tiny.py.
_base_ = 'dt3_penn_split1_tiny.py'
normal = [1, 4, 7, 10, 13]  # baseball_swing, clean_and_jerk, jumping_jacks, situp, tennis_forehand
