"""Helpers of all packages: argument checks, configs, files, memory."""
