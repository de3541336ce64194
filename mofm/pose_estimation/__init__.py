"""2D pose estimation on videos and images."""

from .extract import extract_video, extracted, read_boxes
from .pose_extractor import DETECTOR, MODEL, PersonDetector, PoseExtractor, whole_frame
from .video import Video, find_videos

__all__ = ['DETECTOR', 'MODEL', 'PersonDetector', 'PoseExtractor', 'Video', 'extract_video',
           'extracted', 'find_videos', 'read_boxes', 'whole_frame']
