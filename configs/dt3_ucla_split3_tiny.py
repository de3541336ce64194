# DT3 on NW-UCLA, the third split of dt3_ucla_split1_tiny.py.
_base_ = 'dt3_ucla_split1_tiny.py'
normal = [2, 5, 8]  # drop_trash, stand_up, throw
