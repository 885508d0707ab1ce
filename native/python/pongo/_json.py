"""JSON out and in: what JSON lacks is written as in every language of this database."""

import json
from base64 import b64encode
from datetime import datetime
from uuid import UUID

from . import _errors as errors

_encode = json.JSONEncoder(ensure_ascii=False).encode


def _iso(value):
    return value.strftime('%Y').zfill(4) + value.strftime('-%m-%dT%H:%M:%S.') + f'{value.microsecond // 1000:03d}Z'


def _listed(key):
    return list(map(_listed, key)) if isinstance(key, tuple) else key


def _key(key):
    if isinstance(key, str):
        return key
    text = text_of(_listed(key))
    return json.loads(text) if text.startswith('"') else text


def text_of(value):
    """JSON text of what _json_form() gives, where a tuple of pairs is a dict: no white space, keys in order."""
    if isinstance(value, str):
        return _encode(value)
    if value is None:
        return 'null'
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value) if value - value == 0 else 'null'
    if isinstance(value, list):
        return '[' + ','.join(map(text_of, value)) + ']'
    if isinstance(value, tuple):
        return '{' + ','.join(f'{_encode(_key(key))}:{text_of(item)}' for key, item in value) + '}'
    if isinstance(value, datetime):
        return _encode(_iso(value))
    if isinstance(value, UUID):
        return _encode(str(value))
    if isinstance(value, (bytes, bytearray)):
        return _encode(b64encode(value).decode('ascii'))
    return _encode(str(value))  # what meta '.uuid_constructor' makes


def _refuse(name):
    raise ValueError(f'{name} is not JSON')


def parse(text):
    """Parses JSON text for storing: integers of any size stay integers, all other numbers are floats. ValueError."""
    if not isinstance(text, (str, bytes, bytearray)):
        raise errors.TypeError(f'JSON text must be a str, not {type(text).__name__}')
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise errors.DepthError('JSON: deeper than 512 levels') from None
    except ValueError as error:
        raise errors.ValueError(f'JSON: {error}') from None
