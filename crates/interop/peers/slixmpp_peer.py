#!/usr/bin/env python3
"""slixmpp at one end of a bare bytestream, in band or by SOCKS5, or pinging.

    slixmpp_peer.py JID PASSWORD HOST PORT receive DIR
    slixmpp_peer.py JID PASSWORD HOST PORT send FILE TO BLOCK_SIZE
    slixmpp_peer.py JID PASSWORD HOST PORT send-socks5 FILE TO        through the proxies of its server
    slixmpp_peer.py JID PASSWORD HOST PORT ping TO

TLS when PEER_AUTHORITY names an authority, plaintext otherwise. Prints one JSON object a line: online, pong, done, failed.
"""

import asyncio
import json
import os
import sys
import time

import slixmpp


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


class Peer(slixmpp.ClientXMPP):
    def __init__(self, jid, password):
        super().__init__(jid, password)
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0199")
        self.register_plugin("xep_0047", {"auto_accept": True})
        self.register_plugin("xep_0065", {"auto_accept": True})
        self.enable_direct_tls = False
        authority = os.environ.get("PEER_AUTHORITY")
        if authority:
            self.ca_certs = authority
        else:
            self.enable_starttls = False
            self.enable_plaintext = True
            self.plugin["feature_mechanisms"].unencrypted_plain = True
            self.plugin["feature_mechanisms"].unencrypted_scram = True


async def receive(peer, directory):
    ended = asyncio.get_event_loop().create_future()
    pieces = {}

    def data(stream):
        pieces.setdefault(stream.sid, []).append(stream.read())

    def end(stream):
        if not ended.done():
            ended.set_result(stream)

    peer.add_event_handler("ibb_stream_data", data)
    peer.add_event_handler("ibb_stream_end", end)

    # slixmpp's SOCKS5 events name no stream: there is but one.
    socks5 = []
    peer.add_event_handler("socks5_data", socks5.append)

    def socks5_end(error):
        if not ended.done():
            ended.set_result(None)

    peer.add_event_handler("socks5_closed", socks5_end)
    say("online", jid=peer.boundjid.full)
    stream = await ended
    if stream:
        sid, method, octets = stream.sid, "ibb", b"".join(pieces.get(stream.sid, []))
    else:
        sid, method, octets = next(iter(peer.plugin["xep_0065"]._sessions)), "socks5", b"".join(socks5)
    path = os.path.join(directory, sid)
    with open(path, "wb") as file:
        file.write(octets)
    # The answer to <close/> is still in the queue.
    await asyncio.sleep(0.2)
    say("done", sid=sid, bytes=len(octets), path=path, method=method)


async def send(peer, path, to, block_size):
    say("online", jid=peer.boundjid.full)
    stream = await peer.plugin["xep_0047"].open_stream(slixmpp.JID(to), block_size=int(block_size), timeout=30)
    began = time.monotonic()
    with open(path, "rb") as file:
        await stream.sendfile(file, timeout=60)
    seconds = time.monotonic() - began
    await stream.close(timeout=30)
    say("done", sid=stream.sid, bytes=os.path.getsize(path), seconds=seconds)


async def send_socks5(peer, path, to):
    say("online", jid=peer.boundjid.full)
    began = time.monotonic()
    socket = await peer.plugin["xep_0065"].handshake(slixmpp.JID(to), timeout=30)
    if socket is None:
        raise RuntimeError("no connection to the proxy")
    closed = asyncio.get_event_loop().create_future()
    peer.add_event_handler("socks5_closed", closed.set_result)
    with open(path, "rb") as file:
        while block := file.read(65536):
            await socket.write(block)
    socket.transport.write_eof()
    await asyncio.wait_for(closed, 30)
    seconds = time.monotonic() - began
    say("done", sid=next(iter(peer.plugin["xep_0065"]._sessions)), bytes=os.path.getsize(path), seconds=seconds, method="socks5")


async def ping(peer, to):
    say("online", jid=peer.boundjid.full)
    while True:
        began = time.monotonic()
        await peer.plugin["xep_0199"].send_ping(slixmpp.JID(to), timeout=60)
        say("pong", seconds=time.monotonic() - began)
        await asyncio.sleep(0.5)


async def main(jid, password, host, port, task, *args):
    peer = Peer(jid, password)
    loop = asyncio.get_event_loop()
    started, refused = loop.create_future(), loop.create_future()

    def settle(future, value):
        if not future.done():
            future.set_result(value)

    peer.add_event_handler("session_start", lambda _: settle(started, True))
    for event in ("failed_all_auth", "connection_failed", "disconnected"):
        peer.add_event_handler(event, lambda reason, event=event: settle(refused, f"{event}: {reason}"))
    peer.connect(host, int(port))
    await asyncio.wait([started, refused], return_when=asyncio.FIRST_COMPLETED, timeout=30)
    if not started.done():
        raise RuntimeError(refused.result() if refused.done() else "no session within 30 s")
    tasks = {"receive": receive, "send": send, "send-socks5": send_socks5, "ping": ping}
    await tasks[task](peer, *args)
    await peer.disconnect(wait=1)


if __name__ == "__main__":
    try:
        asyncio.get_event_loop_policy().get_event_loop().run_until_complete(main(*sys.argv[1:]))
    except Exception as error:
        say("failed", reason=repr(error))
        sys.exit(1)
