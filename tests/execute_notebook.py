"""Executes a notebook in a folder: `python execute_notebook.py NOTEBOOK FOLDER RESULT`.

A program of its own, so that the kernel's sockets and event loops are none of the tests'.
"""

import sys

import nbclient
import nbformat


def main(path: str, folder: str, result: str) -> None:
    """Writes the executed notebook; fails with the traceback of the cell that failed."""
    notebook = nbformat.read(path, 4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, resources={'metadata': {'path': folder}}
    )
    client.create_kernel_manager()
    # This Python, whatever kernels are registered on the machine.
    client.km.kernel_spec.argv[0] = sys.executable
    client.execute()
    nbformat.write(notebook, result)


if __name__ == '__main__':
    main(*sys.argv[1:])
