"""What JupyterLab has besides the lessons: a tile that leads to the emulators of its kernels."""
