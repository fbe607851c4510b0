"""A server of files on this machine, which can break off and whose requests are remembered."""

import contextlib
import http.server
import re
import threading


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`, bytes by path.

    Attributes:
      address: its own.
      asked: the path of each request, and its Range.
      breaking: after so many bytes of each answer the connection ends; None: never.
      ranges: whether it can go on in the middle.
      kind: the content's type.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(('127.0.0.1', 0), _Handler)
        self.address = f'http://127.0.0.1:{self.server_port}'
        self.files, self.asked = {}, []
        self.breaking, self.ranges, self.kind = None, True, 'application/octet-stream'


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers.get('Range')
        server.asked.append((self.path, wanted))
        if self.path not in server.files:
            self.send_error(404)
            return
        data = server.files[self.path]
        begin = int(re.match(r'bytes=(\d+)-', wanted)[1]) if wanted and server.ranges else 0
        if begin >= len(data) > 0:
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header('Content-Range', f'bytes {begin}-{len(data) - 1}/{len(data)}')
        self.send_header('Content-Type', server.kind)
        self.send_header('Content-Length', str(len(data) - begin))
        self.end_headers()
        self.wfile.write(data[begin:][: server.breaking])
        self.close_connection = True

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serving():
    """A server that ends with the context."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
