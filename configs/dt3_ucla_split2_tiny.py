# DT3 on NW-UCLA, the second split of dt3_ucla_split1_tiny.py.
_base_ = 'dt3_ucla_split1_tiny.py'
normal = [1, 4, 7]  # pick_up_with_two_hands, sit_down, doffing
