"""2D pose estimation on videos and images."""

from .estimator import PoseEstimator, build_estimator, choose_estimator, whole_frame
from .extract import extract_video, extracted, read_boxes
from .mediapipe import MediaPipePoses
from .movenet import MoveNet
from .pose_extractor import DETECTOR, MODEL, PersonDetector, PoseExtractor
from .rtmpose import RTMPose
from .sampling import POSE_FPS, estimate_sampled, frame_step
from .ultralytics import UltralyticsPoses
from .video import Video, find_videos

__all__ = ['DETECTOR', 'MODEL', 'POSE_FPS', 'MediaPipePoses', 'MoveNet', 'PersonDetector',
           'PoseEstimator', 'PoseExtractor', 'RTMPose', 'UltralyticsPoses', 'Video',
           'build_estimator', 'choose_estimator', 'estimate_sampled', 'extract_video', 'extracted',
           'find_videos', 'frame_step', 'read_boxes', 'whole_frame']
