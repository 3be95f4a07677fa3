"""Random changes of bytes and of JSON."""

import json

# values that a program may not expect
ODD = (
    None,
    True,
    -1,
    0,
    2**31,
    10**30,
    1e308,
    -0.5,
    '',
    'x',
    '\x1b[31m',
    'ü\ud800',
    '../../x',
    [],
    {},
    [[]],
    [[[]]] * 3,
    {'b64': 'AA=='},
    {'b64': 1},
    [1, [2]],
    'y' * 10_000,
    list(range(2000)),
)


def mutated(rng, content):
    """The bytes with one to three changes."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at, length = rng.randrange(len(content) + 1), rng.choice((1, 2, 4, 8, 60))
        change = rng.randrange(6)
        if change == 0:
            content[at : at + 1] = bytes([rng.randrange(256)])
        elif change == 1:
            del content[at : at + length]
        elif change == 2:
            content[at:at] = content[at : at + length] * rng.choice((1, 2, 500))
        elif change == 3:
            content[at : at + length] = rng.choice((b'\0', b'\xff', b'\x7f', b'\x80')) * length
        elif change == 4:
            del content[at:]
        else:
            content[at:at] = rng.randbytes(length)
    return bytes(content)


def mutated_json(rng, document):
    """The JSON text of a document of which a part is exchanged, left out, put into a list or deeply nested."""
    document = json.loads(json.dumps(document))
    place, key = None, None
    while True:
        value = document if place is None else place[key]
        keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
        if not keys or place is not None and rng.random() < 0.3:
            break
        place, key = value, rng.choice(keys)
    change = rng.randrange(6)
    if change == 0:
        del place[key]
    elif change == 1:
        place[key] = [place[key]] * rng.choice((0, 2, 40))
    elif change == 2:
        place[key] = 'NESTED'
        depth = rng.choice((5, 33, 500, 50_000))
        return json.dumps(document).replace('"NESTED"', '[' * depth + ']' * depth).encode()
    else:
        place[key] = rng.choice(ODD)
    text = json.dumps(document).encode()
    return mutated(rng, text) if rng.random() < 0.2 else text
