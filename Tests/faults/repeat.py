#!/usr/bin/env python3
"""Creates posts with an Idempotency-Key each, and sends a request again until it is answered with success.

Every client has keys of its own and goes on until --until exists. Each answer with success is kept in --answers, a line a key: the key,
the id that the answer gives, and how often it was sent. The keys are the posts' titles.

Only the standard library is used.
"""

import argparse
import http.client
import json
import os
import threading
import time
import urllib.parse


def client(options, number, lines, failures, lock):
    address = urllib.parse.urlsplit(options.url).netloc
    connection, count = None, 0
    while not os.path.exists(options.until):
        count += 1
        key = f"{options.mark}-{number}-{count}"
        body = json.dumps({"title": key, "content": "Once"})
        headers = {"Authorization": "Bearer " + options.token, "Content-Type": "application/json", "Idempotency-Key": key}
        for attempt in range(1, 600):
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(address, timeout=10)
                connection.request("POST", "/posts", body, headers)
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException):
                connection = None
                time.sleep(0.05)
                continue
            if answer.status == 200:
                with lock:
                    lines.append(f"{key}\t{json.loads(text)['post']['id']}\t{attempt}")
                break
            if answer.status not in (409, 502, 503):
                failures.append(f"{key}: {answer.status} {text!r}")
                return
            time.sleep(0.05)
        else:
            failures.append(f"{key} was never answered")
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    for name in ("--token", "--answers", "--mark", "--until"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    lines, failures, lock = [], [], threading.Lock()
    threads = [threading.Thread(target=client, args=(options, number, lines, failures, lock)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open(options.answers, "w") as file:
        file.writelines(line + "\n" for line in lines)
    if failures:
        raise SystemExit("\n".join(failures))


main()
