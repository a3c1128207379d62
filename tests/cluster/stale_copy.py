"""A proxy in front of nats-server that shows what a server shows whose copy of the stream is not the cluster's."""
import re
import socket
import threading

ACK = re.compile(rb"\$JS\.ACK\.([^.]+)\.([^.]+)\.(\d+)\.(\d+)\.(\d+)\.(.*)")
LAST = re.compile(rb"(Nats-Last-(?:Consumer|Stream): *)(\d+)")


class StaleCopy:
    """Takes connections on a port of its own. What comes from the server passes unchanged until lack() or stand_still()."""

    def __init__(self, workspace, nats):
        self._server = nats
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._next = None       # what happens to the next consumer that delivers: "lack" or "still"
        self._fate = {}         # subscription -> ["lack" or "still", messages held back]
        self._seen = set()      # consumers and their numbers of messages
        self.twice = 0          # messages that a consumer's subscriber got more than once
        workspace.closers.append(self._listener.close)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def urls(self):
        return [f"nats://127.0.0.1:{self._listener.getsockname()[1]}"]

    def lack(self):
        """The next message that is delivered is not there, and every one behind it has the number before its own. A consumer
        that is made later reads another server's copy, which is right."""
        self._next = "lack"

    def stand_still(self):
        """As lack(), but from the next message on nothing comes any more, except that all is well."""
        self._next = "still"

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = self._server.machine.connect(self._server.port, 5)
            except OSError:
                return
            threading.Thread(target=self._up, args=(client, server), daemon=True).start()
            threading.Thread(target=self._down, args=(client, server), daemon=True).start()

    def _up(self, client, server):
        try:
            while data := client.recv(65536):
                server.sendall(data)
        except OSError:
            pass
        server.close()

    def _down(self, client, server):
        lines = server.makefile("rb")
        try:
            while line := lines.readline():
                words = line.split()
                if words[0] not in (b"MSG", b"HMSG"):
                    client.sendall(line)
                    continue
                body = lines.read(int(words[-1]) + 2)[:-2]
                head = int(words[-2]) if words[0] == b"HMSG" else 0
                self._pass(client, words, body[:head], body[head:])
        except OSError:
            pass
        client.close()

    def _pass(self, client, words, head, body):
        subscription, reply = words[2], words[3] if len(words) == (6 if words[0] == b"HMSG" else 5) else b""
        delivery = ACK.fullmatch(reply)
        if delivery:
            self.twice += (delivery[2], delivery[5]) in self._seen
            self._seen.add((delivery[2], delivery[5]))
        if delivery and self._next:
            self._fate[subscription], self._next = [self._next, 0], None
        kind, held = self._fate.get(subscription, (None, 0))
        if delivery and kind and (held == 0 or kind == "still"):
            self._fate[subscription][1] += 1
            return
        if delivery and held:
            stream, consumer, times, stored, delivered, rest = delivery.groups()
            reply = b".".join([b"$JS.ACK", stream, consumer, times, b"%d" % (int(stored) - held), b"%d" % (int(delivered) - held), rest])
        elif held:  # a heartbeat
            head = LAST.sub(lambda m: m.group(1) + b"%d" % (int(m.group(2)) - held), head)
        client.sendall(self._message(words, reply, head, body))

    @staticmethod
    def _message(words, reply, head, body):
        sizes = [b"%d" % len(head)] if words[0] == b"HMSG" else []
        parts = [*words[:3], *([reply] if reply else []), *sizes, b"%d" % (len(head) + len(body))]
        return b" ".join(parts) + b"\r\n" + head + body + b"\r\n"
