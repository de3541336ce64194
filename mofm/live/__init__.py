"""Live sources: cameras, network streams and folders to poses, scores and events."""

from .events import Event, EventDetector
from .overlay import Overlay
from .serve import PageServer
from .sinks import EventTable, JsonLines, Webhook
from .source import Frame, Source, open_source
from .stream import LiveResult, LiveStream

__all__ = ['Event', 'EventDetector', 'EventTable', 'Frame', 'JsonLines', 'LiveResult',
           'LiveStream', 'Overlay', 'PageServer', 'Source', 'Webhook', 'open_source']
