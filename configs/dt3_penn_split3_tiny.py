# DT3 on Penn Action, the third split of dt3_penn_split1_tiny.py.
_base_ = 'dt3_penn_split1_tiny.py'
normal = [2, 5, 8, 11, 14]  # bench_press, golf_swing, pullup, squat, tennis_serve
