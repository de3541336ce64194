"""Page of ``mofm app`` on Hugging Face Spaces, which set the port 7860."""

from mofm.app import serve

serve(host='0.0.0.0', port=7860, upload_mb=100)
