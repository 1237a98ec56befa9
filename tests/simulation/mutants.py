"""Bugs, planted one at a time in a copy of functions/: each must be caught by the rules, or the rules have a hole."""

# ruff: noqa: E501 - a line of code stays a line

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ..sam_template import ROOT


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    old: str
    new: str


MUTANTS = (
    Mutant(
        "a write does not look whether the row changed",
        "eventflow/store.py",
        '"ConditionExpression": "revision = :seen"',
        '"ConditionExpression": "revision >= :seen OR revision < :seen"',
    ),
    Mutant(
        "a first write does not look whether there is a row",
        "eventflow/store.py",
        'f"attribute_not_exists({self._key})"',
        'f"attribute_not_exists(nothing)"',
    ),
    Mutant(
        "a lost race counts as won",
        "eventflow/transition.py",
        "        except LostRace as race:\n",
        "        except LostRace as race:\n            return change.state\n",
    ),
    Mutant(
        "after a lost race the old decision is written",
        "eventflow/transition.py",
        "        change = decide(current.state if current else None)\n",
        "        change = locals().get('change') or decide(current.state if current else None)\n",
    ),
    Mutant(
        "the row and its event are two writes",
        "eventflow/store.py",
        "            dynamodb.put_item(**self.put(state, revision, announcement))\n",
        "            if announcement:\n                dynamodb.put_item(**self.put(state, revision, None))\n                revision += 1\n            dynamodb.put_item(**self.put(state, revision, announcement))\n",
    ),
    Mutant(
        "a busy transaction counts as made",
        "eventflow/store.py",
        "        if codes & PASSING:\n            raise Busy from None\n",
        "        if codes & PASSING:\n            return []\n",
    ),
    Mutant(
        "what a batch read left out is not asked for again",
        "eventflow/store.py",
        '            wanted = answer["UnprocessedKeys"]\n',
        "            wanted = {}\n",
    ),
    Mutant(
        "rows are remembered from one invocation to the next",
        "eventflow/store.py",
        "    def read(self, key: str) -> Stored[S] | None:\n",
        "    def read(self, key: str) -> Stored[S] | None:\n        if (self.name, key) not in CACHE:\n            CACHE[self.name, key] = self._read(key)\n        return CACHE[self.name, key]\n\n    def _read(self, key: str) -> Stored[S] | None:\n",
    ),
    Mutant(
        "relay does not look at what EventBridge refused",
        "relay/stream.py",
        "        if not refused:\n",
        "        if True:\n",
    ),
    Mutant(
        "relay gives up in silence", "relay/stream.py", "    raise NotPublished(", "    return\n    raise NotPublished("
    ),
    Mutant(
        "relay publishes the first of a batch only",
        "relay/stream.py",
        "        batch = [item for item, _ in refused]\n",
        "        return\n",
    ),
    Mutant(
        "relay drops the trace",
        "relay/publish.py",
        '        put["TraceHeader"] = ',
        '        put["EventBusName"] = bus; _ = ',
    ),
    Mutant(
        "a consumer swallows its exceptions",
        "eventflow/subscriber.py",
        "            consume(received)\n",
        "            try:\n                consume(received)\n            except Exception:\n                pass\n",
    ),
    Mutant(
        "a consumer knows no event again",
        "eventflow/subscriber.py",
        "            known_by = received.fact.known_by(received.event_id)\n",
        "            import uuid\n            known_by = [str(uuid.uuid4())]\n",
    ),
    Mutant(
        "a queue's failures are not reported",
        "eventflow/queue.py",
        "                except Exception:\n",
        "                except Exception:\n                    return\n",
    ),
    Mutant(
        "a message goes on in another one's trace",
        "eventflow/queue.py",
        "telemetry.taking_part_in(record.attributes.aws_trace_header)",
        "telemetry.taking_part_in(None)",
    ),
    Mutant(
        "charged before the intent is written",
        "payment/payments.py",
        "    payment = transition(\n        rows, order.order_id, lambda seen: intend_charge",
        "    gateway.charge(order.order_id, None, idempotency_key=cause.event_id)\n    payment = transition(\n        rows, order.order_id, lambda seen: intend_charge",
    ),
    Mutant(
        "each attempt to charge has a key of its own",
        "payment/payments.py",
        "            answer = gateway.charge(order.order_id, payment.total, idempotency_key=payment.idempotency_key)\n",
        "            import uuid\n            answer = gateway.charge(order.order_id, payment.total, idempotency_key=str(uuid.uuid4()))\n",
    ),
    Mutant(
        "a cancellation before the charge leaves nothing behind",
        "payment/payments.py",
        "        return Change(Payment(order_id=order.order_id, user_id=order.user_id, status=Status.CANCELLED))\n",
        "        return None\n",
    ),
    Mutant(
        "a cancellation during the charge is overlooked",
        "payment/payments.py",
        "_CANCELLED = {Status.CHARGING: Status.CANCELLING, ",
        "_CANCELLED = {",
    ),
    Mutant(
        "a cancelled payment is not given back",
        "payment/payments.py",
        "_CANCELLED = {Status.CHARGING: Status.CANCELLING, Status.SUCCEEDED: Status.REFUNDING}",
        "_CANCELLED = {Status.CHARGING: Status.CANCELLING}",
    ),
    Mutant(
        "a payment is given back without being noted",
        "payment/payments.py",
        "        payment = transition(rows, payment.order_id, refunded, cause=cause)\n",
        "",
    ),
    Mutant(
        "each attempt to give back has a key of its own",
        "payment/payments.py",
        'idempotency_key=f"{payment.idempotency_key}:refund")',
        'idempotency_key=str(__import__("uuid").uuid4()))',
    ),
    Mutant(
        "called off, and charged all the same",
        "payment/payments.py",
        "    return _paid(payment, found, Status.REFUNDING)\n",
        "    return _paid(payment, found, Status.SUCCEEDED)\n",
    ),
    Mutant(
        "the gateway forgets that it was called off",
        "payment/gateway.py",
        "        answer = self._first(idempotency_key, CalledOff())\n",
        "        found = self._rows.read(idempotency_key) if False else None\n        answer = found.state.answer if found else CalledOff()\n",
    ),
    Mutant(
        "a cancellation before the reservation leaves nothing behind",
        "inventory/stock.py",
        "        return Change(_reservation(order, Status.CANCELLED))\n",
        "        return None\n",
    ),
    Mutant(
        "a release puts nothing back",
        "inventory/stock.py",
        "{Status.RESERVED: -1, Status.RELEASED: 1}",
        "{Status.RESERVED: -1}",
    ),
    Mutant(
        "stock is taken whether there is enough or not",
        "inventory/warehouse.py",
        '        update["ConditionExpression"] = "availableQty >= :needed"\n',
        '        update["ConditionExpression"] = "availableQty >= :needed OR availableQty < :needed"\n',
    ),
    Mutant(
        "an adjustment is made each time it is sent",
        "eventflow/once.py",
        '        put["ConditionExpression"] += " OR expiration <= :now"\n',
        '        put["ConditionExpression"] += " OR expiration >= :now"\n',
    ),
    Mutant(
        "a key is kept for longer than is said",
        "eventflow/once.py",
        '{":now": {"N": str(clock.now() // 1000)}}',
        '{":now": {"N": str(clock.now() // 1000 - 10**8)}}',
    ),
    Mutant(
        "a checkout's key is not kept",
        "eventflow/once.py",
        '        if reasons := transact([self._keys.first(self._use), row]):\n            self._keys.raise_for(self._use, reasons[0])\n            raise LostRace(self._table.stored(reasons[1].get("Item")))\n',
        '        if reasons := transact([row]):\n            raise LostRace(self._table.stored(reasons[0].get("Item")))\n',
    ),
    Mutant(
        "a checkout leaves the basket full",
        "basket/baskets.py",
        "        msgspec.structs.replace(basket, items=()),\n        BasketCheckedOut(",
        "        basket,\n        BasketCheckedOut(",
    ),
    Mutant(
        "a checkout without a key is a plain write",
        "basket/http.py",
        "        transition(Once(BASKETS, KEYS, use), user_id, decide)\n",
        "        transition(Once(BASKETS, KEYS, use) if key else BASKETS, user_id, decide)\n",
    ),
    Mutant(
        "an Idempotency-Key is overlooked",
        "orders/http.py",
        "    order_id = orders.order_id_for(caller.user_id, key) if key else str(uuid.uuid4())\n",
        "    order_id = str(uuid.uuid4())\n",
    ),
    Mutant(
        "paid is as good as confirmed",
        "orders/orders.py",
        "    (Status.PENDING, PaymentSucceeded): Status.PAID,\n",
        "    (Status.PENDING, PaymentSucceeded): Status.CONFIRMED,\n",
    ),
    Mutant(
        "a confirmed order hears no veto",
        "orders/orders.py",
        "    if order.status.is_off:\n        return None\n    return Change(\n        _changed(order, status, now, reason),",
        "    if order.status.is_off or order.status is Status.CONFIRMED:\n        return None\n    return Change(\n        _changed(order, status, now, reason),",
    ),
    Mutant(
        "an older price overwrites a newer one",
        "eventflow/prices.py",
        "    if price is not None and price.as_of >= product.revision:\n        return None\n",
        "",
    ),
    Mutant(
        "a shopper is told old news",
        "notification/memory.py",
        "            return newest\n",
        "            return None\n",
    ),
    Mutant(
        "a claim keeps nobody out",
        "notification/memory.py",
        "claimed_until=now + CLAIMED_MS",
        "claimed_until=now - 1",
    ),
    Mutant("a shopper is told nothing", "notification/consumer.py", "    if sns:\n", "    if False:\n"),
)


@contextmanager
def planted(mutant: Mutant) -> Iterator[Path]:
    """A copy of functions/ that has this bug."""
    with TemporaryDirectory() as folder:
        source = Path(folder) / "functions"
        shutil.copytree(ROOT / "functions", source, ignore=shutil.ignore_patterns("__pycache__"))
        file = source / mutant.file
        text = file.read_text()
        if text.count(mutant.old) != 1:
            raise LookupError(f"{mutant.name}: its place is {text.count(mutant.old)} times in {mutant.file}")
        file.write_text(text.replace(mutant.old, mutant.new))
        if "CACHE" in mutant.new:
            file.write_text(file.read_text() + "\nCACHE: dict = {}\n")
        yield source
