"""A server of one's own, for scripts that try what it does: the program, its start and its end, and its API."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PASSWORD = "correct horse battery"
OPERATOR = "operator@provider.example"
# What does not come about within this time ends the script.
PATIENCE = 600


def program():
    """The one that ALLCLEAR_BIN names, or the release build, which is made."""
    if os.environ.get("ALLCLEAR_BIN"):
        return os.path.abspath(os.environ["ALLCLEAR_BIN"])
    top = HERE.parent
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--bin", "allclear"], cwd=top, check=True)
    return str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", top / "target")) / "release" / "allclear")


def until(what, holds):
    start = time.monotonic()
    while not holds():
        if time.monotonic() - start > PATIENCE:
            sys.exit(f"{what} never comes true")
        time.sleep(0.2)


class Server:
    """`allclear serve` as its operator runs it, started again and again. Settings are those of the environment."""

    def __init__(self, binary, log, settings):
        self.binary, self.log, self.process = binary, log, None
        self.environment = {"PATH": os.environ["PATH"]} | settings
        self.environment |= {
            "ALLCLEAR_LISTEN": "127.0.0.1:0",
            "ALLCLEAR_LOG": "warn",
            "ALLCLEAR_ACCESS_TOKEN_LIFETIME": "1day",
            "ALLCLEAR_RATE_LIMIT": "1000000",
            "ALLCLEAR_SECRET": "a secret of this trial alone, long enough",
            "ALLCLEAR_OPERATOR_EMAIL": OPERATOR,
            "ALLCLEAR_OPERATOR_PASSWORD": PASSWORD,
        }

    def start(self):
        """Starts it, and returns when it listens."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve"], env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        found = re.search(r"listens on (\S+)", self.process.stdout.readline())
        if not found:
            sys.exit(f"the server did not start: {self.log.read_text()[-2000:]}")
        self.url = found[1]

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def doctor(self):
        """What the doctor finds: nothing, or its findings."""
        asked = subprocess.run(
            [self.binary, "doctor", "--json"], env=self.environment, capture_output=True, text=True
        )
        return "" if asked.returncode == 0 else asked.stdout + asked.stderr


class Desk:
    """The API of a server, for somebody who has signed in."""

    def __init__(self, server, email):
        self.server, self.token = server, None
        self.token = self.post("/v1/auth/login", {"email": email, "password": PASSWORD})["access_token"]

    def call(self, method, path, form=None):
        headers = {"Content-Type": "application/json", "If-Match": "*"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        body = None if form is None else json.dumps(form).encode()
        asked = urllib.request.Request(self.server.url + path, body, headers, method=method)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.read().decode()

    def get(self, path):
        return json.loads(self.call("GET", path))

    def all(self, path):
        """The items of all pages."""
        joint, cursor = "&" if "?" in path else "?", ""
        while cursor is not None:
            page = self.get(f"{path}{joint}limit=200{cursor and '&cursor=' + cursor}")
            yield from page["items"]
            cursor = page["next_cursor"]

    def post(self, path, form):
        return json.loads(self.call("POST", path, form))

    def put(self, path, form):
        return json.loads(self.call("PUT", path, form))

    def refusal(self, path, form):
        """The status with which a form is refused; 0 when it is not."""
        try:
            self.post(path, form)
            return 0
        except urllib.error.HTTPError as refused:
            return refused.code

    def unsent(self):
        """Messages that wait, and events that mail is still to be made of."""
        numbers = re.findall(
            r'^allclear_(?:deliveries\{state="(?:pending|leased)"|desk\{kind="unread_events")\} (\d+)',
            self.call("GET", "/metrics"),
            re.MULTILINE,
        )
        return sum(map(int, numbers))

    def furnish(self):
        """A region, a service, and a queue to which everything goes, with Ada on duty for ever."""
        for kind in ("region", "service"):
            self.post(f"/v1/{kind}s", {"slug": kind, "name": kind.capitalize()})
        ada = {"email": "ada@provider.example", "name": "Ada", "role": "agent", "password": PASSWORD}
        ada = self.post("/v1/users", ada)["id"]
        days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        shift = {"name": "always", "days": days, "start": "00:00", "end": "00:00", "time_zone": "UTC", "members": [ada]}
        queue = self.post("/v1/queues", {"name": "Desk", "always_on": True, "shifts": [shift]})["id"]
        self.put("/v1/routing-rules", {"rules": [{"name": "all", "when": {}, "queue_id": queue}]})

    def open_incident(self):
        incident = {"title": "Sign-in fails", "impact": "degradation", "services": ["service"],
                    "regions": ["region"], "body": "We look into it."}
        return self.post("/v1/incidents", incident)["id"]
