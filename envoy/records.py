"""Makes lines for people of what the filter logs: standard input to standard output.

A record becomes one line: status, method, path, what became of the request, and why. Any other line stays.
"""

import json
import sys


def line(text):
    try:
        record = json.loads(text)
    except ValueError:
        return text
    if not isinstance(record, dict):
        return text
    get = record.get
    if get("event.name", "portcullis.access") != "portcullis.access":
        words = ["event", get("event.code", get("event.name"))]
    else:
        words = [
            get("http.response.status_code"),
            get("http.request.method"),
            get("url.path"),
            get("portcullis.outcome"),
            get("portcullis.code"),
        ]
    said = [str(word) for word in words if word is not None]
    for name in ("route", "policy", "reason"):
        if get("portcullis." + name):
            said.append(f"{name}={get('portcullis.' + name)}")
    if get("user.id"):
        said.append(f"user={get('user.id')}")
    return "  ".join(said) if said else text


def main():
    for text in iter(sys.stdin.readline, ""):
        print(line(text.rstrip("\n")), flush=True)


main()
