"""Events in, effects out: exactly one effect per event, in order per aggregate, whatever is killed when.

One transaction per batch, across partitions while all is well: the handlers' writes, the marks and the service's
own outbox rows. A mark says how far a group has come with an aggregate. What is at or below it is a duplicate, what
follows it is applied, what comes before its predecessor is held back until that has come. Offsets are committed
after the transaction and are a mere hint of where to go on; marks decide.

When a batch fails, each partition goes on by itself, so that one in trouble holds up no other. A fault that passes
is retried for ever with growing pauses. An event that cannot be handled is found by running the batch one event at
a time, and parked: kept with its error, copied to `<group>.dlq`, and followed by every later event of its
aggregate, so that order holds when `python -m shared.dlq replay` runs the handler again. Others flow on. When
parking becomes the rule, the breaker stops the worker instead of emptying the topic.

Where each idea is: `subscription` (what a group listens to and does), `worker` (polls, partitions, offsets), `inbox`
(one batch, one transaction), `marks`, `parking`, `breaker`, `pauses`.
"""

from shared.consumer.breaker import Breaker, Broken
from shared.consumer.inbox import Inbox
from shared.consumer.marks import MARKS, Mark
from shared.consumer.parking import PARKED, UNREADABLE, Parked, Parking
from shared.consumer.subscription import Handler, Prefetch, Reaction, Subscription, on
from shared.consumer.worker import Worker

__all__ = [
    "MARKS",
    "PARKED",
    "UNREADABLE",
    "Breaker",
    "Broken",
    "Handler",
    "Inbox",
    "Mark",
    "Parked",
    "Parking",
    "Prefetch",
    "Reaction",
    "Subscription",
    "Worker",
    "on",
]
