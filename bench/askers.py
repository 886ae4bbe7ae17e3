# SPDX-License-Identifier: GPL-3.0-or-later
"""askers.py - loops of `kubectl get ingress`, without the program: what it asks, in its order, on a TLS connection of its own each time.

    askers.py PORT CA PACE_MS TOKEN...

A loop for each token, each once in PACE_MS at most: as long as kubectl itself takes where it has a processor to itself. Fifty of the program on
one processor come to three a second, most of them the start of Go; fifty people have fifty machines. Prints a line for each that was answered."""
import http.client
import ssl
import sys
import threading
import time

TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
DISCOVERY = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json'
ASKED = (('/api?timeout=32s', DISCOVERY), ('/apis?timeout=32s', DISCOVERY),
         ('/apis/networking.k8s.io/v1/namespaces/default/ingresses?limit=500', TABLE))


def once(port, context, token):
    connection = http.client.HTTPSConnection('127.0.0.1', port, timeout=60, context=context)
    for path, accept in ASKED:
        connection.request('GET', path, headers={'Authorization': f'Bearer {token}', 'Accept': accept})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f'{path}: {answer.status}')
    connection.close()


def loop(port, ca, pace, token, begin):
    context = ssl.create_default_context(cafile=ca)
    due = time.monotonic() + begin
    while True:
        time.sleep(max(0, due - time.monotonic()))
        due = max(due + pace, time.monotonic())
        once(port, context, token)
        print(flush=True)


def main():
    port, ca, pace, tokens = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]) / 1000, sys.argv[4:]
    loops = [threading.Thread(target=loop, args=(port, ca, pace, token, pace * i / len(tokens))) for i, token in enumerate(tokens)]
    for one in loops:
        one.start()


if __name__ == '__main__':
    main()
