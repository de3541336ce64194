# kmeans_auxiliary_classes_tiny.py for the segments of a clip, as kmeans_v2_tiny.py.
_base_ = 'kmeans_auxiliary_classes_tiny.py'
grid = dict(segments=2)
model = dict(segments='${grid.segments}')
