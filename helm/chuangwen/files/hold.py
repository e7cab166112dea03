"""Keeps KEDA from lowering replicas while an assessment lasts; run every few minutes by the chart's CronJob."""

import json
import os
import ssl
import sys
import time
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
HOLD = "autoscaling.keda.sh/paused-scale-in"


def lasts(windows: list[list[int]], now: float) -> bool:
    """Whether a window (Unix seconds, the end excluded) is open."""
    return any(start <= now < end for start, end in windows)


def patch(server: str, account: Path, name: str, hold: bool) -> None:
    """Set or remove the annotation of one ScaledObject. Raises OSError."""
    namespace = (account / "namespace").read_text()
    request = urllib.request.Request(
        f"{server}/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects/{name}",
        data=json.dumps({"metadata": {"annotations": {HOLD: "true" if hold else None}}}).encode(),
        headers={
            "Authorization": f"Bearer {(account / 'token').read_text()}",
            "Content-Type": "application/merge-patch+json",
        },
        method="PATCH",
    )
    authority = account / "ca.crt"
    context = ssl.create_default_context(cafile=authority) if server.startswith("https") else None
    with urllib.request.urlopen(request, timeout=20, context=context):
        pass


def main() -> int:
    server = os.environ.get("KUBERNETES_API", "https://kubernetes.default.svc")
    hold = lasts(json.loads(os.environ["WINDOWS"]), time.time())
    failed = 0
    for name in os.environ["SCALED_OBJECTS"].split(","):
        try:
            patch(server, Path(os.environ.get("ACCOUNT", ACCOUNT)), name, hold)
            print(f"{name}: scale-in {'held' if hold else 'free'}")
        except OSError as error:
            failed += 1
            print(f"{name}: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
