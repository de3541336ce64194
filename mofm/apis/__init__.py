"""What programs call: poses from video."""

from .extract import PersonDetector, PoseExtractor, Video, extract_video, find_videos

__all__ = ['PersonDetector', 'PoseExtractor', 'Video', 'extract_video', 'find_videos']
