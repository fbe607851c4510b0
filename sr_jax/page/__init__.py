"""A page in the browser for those who do not open a terminal: a thin room over `inference`.

`launch` opens it. Gradio lays it out; files go in and out by our own routes (`routes`), so that no
path is in what the browser sends or sees, and all that Gradio would serve besides is shut off
(`gate`). What takes long is done by `jobs`, one after the other. `static` holds what the browser
runs: dropping files, the list of jobs, two images under a slider, a run's curves.
"""
