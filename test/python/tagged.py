"""A text form of values in which both languages say what they have read: [type, text or parts].

Numbers that JavaScript cannot tell apart (2 and 2.0) have one form. tagged.mjs is the same in JavaScript.
"""

import random
import struct
import uuid
from datetime import datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
SAFE = 2**53 - 1


def tag(value):
    if value is None:
        return ['null']
    if isinstance(value, bool):
        return ['bool', str(value).lower()]
    if isinstance(value, int):
        return ['int', str(value)]
    if isinstance(value, float):
        bits = struct.pack('>d', value).hex()
        if value.is_integer() and abs(value) <= SAFE and bits != '8000000000000000':
            return ['int', str(int(value))]
        return ['float', bits if value == value else '7ff8000000000000']
    if isinstance(value, str):
        return ['str', value.encode().hex()]
    if isinstance(value, datetime):
        return ['date', str((value - EPOCH) // timedelta(milliseconds=1))]
    if isinstance(value, uuid.UUID):
        return ['uuid', value.hex]
    if isinstance(value, (bytes, bytearray)):
        return ['bytes', value.hex()]
    if isinstance(value, (list, tuple)):
        return ['list', [tag(item) for item in value]]
    pairs = value.items() if hasattr(value, 'items') else value
    return ['dict', sorted([tag(key), tag(item)] for key, item in pairs)]


def untag(tagged, key=False):
    kind, content = tagged[0], tagged[-1]
    if kind == 'null':
        return None
    if kind == 'bool':
        return content == 'true'
    if kind == 'int':
        return int(content)
    if kind == 'float':
        return struct.unpack('>d', bytes.fromhex(content))[0]
    if kind == 'str':
        return bytes.fromhex(content).decode()
    if kind == 'date':
        return EPOCH + timedelta(milliseconds=int(content))
    if kind == 'uuid':
        return uuid.UUID(content)
    if kind == 'bytes':
        return bytes.fromhex(content)
    if kind == 'list':
        return (tuple if key else list)(untag(item, key) for item in content)
    return {untag(name, True): untag(item) for name, item in content}


class Generator(random.Random):
    """Random values and keys of all types, with a liking for limits."""

    def integer(self):
        power = self.choice([0, 1, 7, 8, 31, 32, 47, 48, 52, 53, 54, 62, 63, 64, 65, 100, 2000])
        return self.choice([1, -1]) * (2**power + self.randint(-2, 2)) if self.random() < 0.6 else self.randint(-1000, 1000)

    def float(self):
        if self.random() < 0.3:
            return self.choice([0.0, -0.0, 0.1, 1.0, 2.0**53, 2.0**60, -(2.0**63), 2.0**64, 1e308, 5e-324, float('inf'), -float('inf')])
        return struct.unpack('>d', self.randbytes_(8))[0]

    def randbytes_(self, count):
        return bytes(self.getrandbits(8) for _ in range(count))

    def text(self):
        size = self.choice([0, 1, 3, 5, 6, 20, 300])
        alphabet = self.choice(['ab', 'abcdefghij.0123', 'aé€😀\0\uffff\ud7ff\ue000'])
        return ''.join(self.choice(alphabet) for _ in range(size))

    def date(self):
        return EPOCH + timedelta(milliseconds=self.choice([0, -1, 1, 86400000, self.randint(-6 * 10**13, 2 * 10**14)]))

    def scalar(self):
        return self.choice([
            lambda: None, lambda: True, lambda: False, self.integer, self.integer, self.float, self.text, self.text, self.date,
            lambda: uuid.UUID(bytes=self.randbytes_(16)), lambda: self.randbytes_(self.choice([0, 1, 5, 6, 40, 300])),
        ])()

    def key(self, depth=0):
        if depth < 3 and self.random() < 0.15:
            return tuple(self.key(depth + 1) for _ in range(self.randint(0, 3)))
        value = self.scalar()
        # NaN is no key, -0.0 is 0, and of 1 and 1.0 the first stays: each key here has one form.
        return int(value) if isinstance(value, float) and value.is_integer() else 0 if value != value else value

    def value(self, depth=0):
        if depth > 3 or self.random() < 0.6:
            return self.scalar()
        if self.random() < 0.5:
            return [self.value(depth + 1) for _ in range(self.choice([0, 1, 2, 5, 30]))]
        if self.random() < 0.6:
            return {self.text(): self.value(depth + 1) for _ in range(self.choice([0, 1, 3, 10]))}
        # Python cannot hold True and 1 as two keys.
        return {key: self.value(depth + 1) for key in [self.key() for _ in range(self.choice([1, 3, 8]))] if not isinstance(key, bool)}
