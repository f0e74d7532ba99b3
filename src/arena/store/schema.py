"""The words of the schema: tables and views as they stand after the last migration that made them.

A statement here is history once a release has run it: change the schema with a further migration, never by an edit.

**What is sealed.** The base tables `seats` and `contestants` join a seat to a model at any time: they are the record,
and whoever reads them before the vote has unblinded the round. The views are what a viewer would open, and none of them
says anything of a model before the names of its round are out, which is what `open_rounds` tells.
"""

from __future__ import annotations

SET = "arena"
"""The name of this schema among the migrations of a file."""
STEPS = (
    "m001_tables",
    "m002_search",
    "m003_views",
    "m004_contestants",
    "m005_loads",
    "m006_sessions",
    "m007_exchange",
    "m008_revotes",
)
"""Every step, in order. Their number is the file's `user_version`."""
APPLICATION_ID = 0x6172656E
"""`aren`, in the header of the file: `file arena.db` can tell what it is."""

# Texts are '' rather than NULL where nothing is known; NULL in a figure means: not measured.
# `prompts` and `answers` have an INTEGER PRIMARY KEY besides their natural key: the search index points at it, and a
# VACUUM may renumber the rows of a table that has none.
TABLES = """
CREATE TABLE contestants (
    fingerprint TEXT PRIMARY KEY NOT NULL,
    endpoint TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    quantization TEXT NOT NULL,
    context INTEGER NOT NULL,
    kv_type TEXT NOT NULL,
    template_hash TEXT NOT NULL,
    sampler TEXT NOT NULL,
    system TEXT NOT NULL,
    thinking TEXT NOT NULL,
    family TEXT NOT NULL DEFAULT '',
    parameters INTEGER,
    size_bytes INTEGER,
    first_seen TEXT NOT NULL
) STRICT;

CREATE TABLE prompts (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    slug TEXT NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    system TEXT NOT NULL,
    tags TEXT NOT NULL,
    language TEXT NOT NULL
) STRICT;

CREATE TABLE rounds (
    id TEXT PRIMARY KEY NOT NULL,
    prompt TEXT NOT NULL REFERENCES prompts(sha256),
    created_at TEXT NOT NULL,
    state TEXT NOT NULL,
    blind INTEGER NOT NULL,
    pace TEXT NOT NULL,
    schedule TEXT NOT NULL,
    propensity REAL,
    sampling TEXT NOT NULL,
    flags TEXT NOT NULL DEFAULT '[]',
    revealed_at TEXT,
    owner_pid INTEGER NOT NULL,
    owner_token TEXT NOT NULL,
    owned_at TEXT NOT NULL
) STRICT;
CREATE INDEX rounds_state ON rounds(state, created_at);
CREATE INDEX rounds_created ON rounds(created_at);
CREATE INDEX rounds_prompt ON rounds(prompt);

CREATE TABLE seats (
    round TEXT NOT NULL REFERENCES rounds(id),
    seat INTEGER NOT NULL,
    contestant TEXT NOT NULL REFERENCES contestants(fingerprint),
    run_order INTEGER NOT NULL,
    PRIMARY KEY (round, seat)
) STRICT;
CREATE INDEX seats_contestant ON seats(contestant);

CREATE TABLE answers (
    id INTEGER PRIMARY KEY,
    round TEXT NOT NULL,
    seat INTEGER NOT NULL,
    text TEXT NOT NULL,
    thought TEXT NOT NULL,
    outcome TEXT NOT NULL,
    error TEXT NOT NULL,
    queue_ms REAL,
    load_ms REAL,
    ttft_ms REAL,
    ttfa_ms REAL,
    e2e_ms REAL,
    prompt_tokens INTEGER,
    cached_tokens INTEGER,
    prefill_tps REAL,
    out_tokens INTEGER,
    think_tokens INTEGER,
    out_chars INTEGER NOT NULL,
    decode_tps REAL,
    server_decode_tps REAL,
    chars_per_s REAL,
    max_gap_ms REAL,
    token_source TEXT NOT NULL,
    finish TEXT NOT NULL,
    cold INTEGER NOT NULL,
    contended INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    speed_visible INTEGER NOT NULL,
    ran_alongside TEXT NOT NULL DEFAULT '[]',
    UNIQUE (round, seat),
    FOREIGN KEY (round, seat) REFERENCES seats(round, seat)
) STRICT;

CREATE TABLE votes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    round TEXT NOT NULL REFERENCES rounds(id),
    verdict TEXT NOT NULL,
    kind TEXT NOT NULL,
    ranking TEXT NOT NULL,
    blind INTEGER NOT NULL,
    decided_ms INTEGER,
    note TEXT NOT NULL,
    voter TEXT NOT NULL,
    cast_at TEXT NOT NULL,
    retracted_at TEXT
) STRICT;
CREATE INDEX votes_round ON votes(round);
CREATE UNIQUE INDEX votes_standing ON votes(round, voter) WHERE retracted_at IS NULL;
"""

VIEWS = """
CREATE VIEW open_rounds AS
SELECT id, prompt, created_at, state, blind, pace, schedule, propensity, flags, revealed_at
FROM rounds WHERE state = 'unblinded' OR revealed_at IS NOT NULL;

CREATE VIEW seats_revealed AS
SELECT seats.round, seats.seat, substr('ABC', seats.seat + 1, 1) AS label, seats.run_order,
    contestants.endpoint || '/' || contestants.name AS model, contestants.quantization, contestants.context,
    contestants.kv_type, contestants.thinking, contestants.digest, contestants.fingerprint
FROM seats
JOIN open_rounds ON open_rounds.id = seats.round
JOIN contestants ON contestants.fingerprint = seats.contestant;

CREATE VIEW leaderboard_votes AS
SELECT votes.id AS vote, votes.round, votes.cast_at, prompts.slug AS prompt_slug, prompts.title AS prompt_title,
    prompts.tags, votes.verdict, votes.kind, votes.ranking, votes.blind, votes.decided_ms, votes.voter, votes.note,
    open_rounds.state, open_rounds.flags, open_rounds.propensity,
    a.model AS model_a, b.model AS model_b, c.model AS model_c,
    a.fingerprint AS fingerprint_a, b.fingerprint AS fingerprint_b, c.fingerprint AS fingerprint_c
FROM votes
JOIN open_rounds ON open_rounds.id = votes.round
JOIN prompts ON prompts.sha256 = open_rounds.prompt
LEFT JOIN seats_revealed AS a ON a.round = votes.round AND a.seat = 0
LEFT JOIN seats_revealed AS b ON b.round = votes.round AND b.seat = 1
LEFT JOIN seats_revealed AS c ON c.round = votes.round AND c.seat = 2
WHERE votes.retracted_at IS NULL;

CREATE VIEW waiting_rounds AS
SELECT rounds.id AS round, rounds.created_at, prompts.slug AS prompt_slug, prompts.title AS prompt_title,
    prompts.text AS prompt, prompts.tags, prompts.language, rounds.pace,
    (SELECT count(*) FROM seats WHERE seats.round = rounds.id) AS seats
FROM rounds JOIN prompts ON prompts.sha256 = rounds.prompt
WHERE rounds.state = 'ready';

CREATE VIEW answers_revealed AS
SELECT answers.round, seats_revealed.label, seats_revealed.model, seats_revealed.quantization,
    seats_revealed.fingerprint, prompts.text AS prompt, answers.text, answers.thought, answers.outcome, answers.error,
    answers.queue_ms, answers.load_ms, answers.ttft_ms, answers.ttfa_ms, answers.e2e_ms, answers.prompt_tokens,
    answers.cached_tokens, answers.prefill_tps, answers.out_tokens, answers.think_tokens, answers.out_chars,
    answers.decode_tps, answers.server_decode_tps, answers.chars_per_s, answers.max_gap_ms, answers.token_source,
    answers.finish, answers.cold, answers.contended, answers.cached, answers.speed_visible, answers.ran_alongside
FROM answers
JOIN seats_revealed ON seats_revealed.round = answers.round AND seats_revealed.seat = answers.seat
JOIN open_rounds ON open_rounds.id = answers.round
JOIN prompts ON prompts.sha256 = open_rounds.prompt;

CREATE VIEW speed AS
SELECT round, label, model, quantization, fingerprint, prompt_tokens, out_tokens, think_tokens, out_chars, decode_tps,
    server_decode_tps, chars_per_s, prefill_tps, ttft_ms, ttfa_ms, e2e_ms, max_gap_ms, token_source
FROM answers_revealed
WHERE outcome IN ('answered', 'truncated') AND cold = 0 AND contended = 0 AND cached = 0;
"""

# One contestant may be reached at several addresses: a seat says where it was really answered ('': as its contestant).
# `merges` is a history like `votes`: undoing a merge closes its row. `former_contestants` keeps the rows that m004
# wrote anew or joined, whole, as JSON: a fingerprint that was printed or exported once can still be found.
CONTESTANTS = """
ALTER TABLE seats ADD COLUMN endpoint TEXT NOT NULL DEFAULT '';
ALTER TABLE seats ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE answers ADD COLUMN server_load_ms REAL;
ALTER TABLE answers ADD COLUMN server_prompt_ms REAL;
ALTER TABLE answers ADD COLUMN server_decode_ms REAL;
ALTER TABLE answers ADD COLUMN server_e2e_ms REAL;

CREATE TABLE merges (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    member TEXT NOT NULL REFERENCES contestants(fingerprint),
    leader TEXT NOT NULL REFERENCES contestants(fingerprint),
    merged_at TEXT NOT NULL,
    undone_at TEXT
) STRICT;
CREATE UNIQUE INDEX merges_standing ON merges(member) WHERE undone_at IS NULL;

CREATE TABLE former_contestants (
    fingerprint TEXT PRIMARY KEY NOT NULL,
    contestant TEXT NOT NULL REFERENCES contestants(fingerprint),
    record TEXT NOT NULL
) STRICT;

DROP VIEW speed;
DROP VIEW answers_revealed;
DROP VIEW seats_revealed;

CREATE VIEW seats_revealed AS
SELECT seats.round, seats.seat, substr('ABC', seats.seat + 1, 1) AS label, seats.run_order,
    CASE WHEN seats.endpoint <> '' OR seats.name <> '' THEN seats.endpoint || '/' || seats.name
        ELSE contestants.endpoint || '/' || contestants.name END AS model,
    contestants.quantization, contestants.context, contestants.kv_type, contestants.thinking, contestants.digest,
    contestants.fingerprint
FROM seats
JOIN open_rounds ON open_rounds.id = seats.round
JOIN contestants ON contestants.fingerprint = seats.contestant;

CREATE VIEW answers_revealed AS
SELECT answers.round, seats_revealed.label, seats_revealed.model, seats_revealed.quantization,
    seats_revealed.fingerprint, prompts.text AS prompt, answers.text, answers.thought, answers.outcome, answers.error,
    answers.queue_ms, answers.load_ms, answers.ttft_ms, answers.ttfa_ms, answers.e2e_ms, answers.prompt_tokens,
    answers.cached_tokens, answers.prefill_tps, answers.out_tokens, answers.think_tokens, answers.out_chars,
    answers.decode_tps, answers.server_decode_tps, answers.server_load_ms, answers.server_prompt_ms,
    answers.server_decode_ms, answers.server_e2e_ms, answers.chars_per_s, answers.max_gap_ms, answers.token_source,
    answers.finish, answers.cold, answers.contended, answers.cached, answers.speed_visible, answers.ran_alongside
FROM answers
JOIN seats_revealed ON seats_revealed.round = answers.round AND seats_revealed.seat = answers.seat
JOIN open_rounds ON open_rounds.id = answers.round
JOIN prompts ON prompts.sha256 = open_rounds.prompt;

CREATE VIEW speed AS
SELECT round, label, model, quantization, fingerprint, prompt_tokens, out_tokens, think_tokens, out_chars, decode_tps,
    server_decode_tps, server_load_ms, server_prompt_ms, server_decode_ms, server_e2e_ms, chars_per_s, prefill_tps,
    ttft_ms, ttfa_ms, e2e_ms, max_gap_ms, token_source
FROM answers_revealed
WHERE outcome IN ('answered', 'truncated') AND cold = 0 AND contended = 0 AND cached = 0;
"""

# What models took of a device when they were loaded. No row names a round, yet the order of loads may tell who answered
# first: it is shown through `open_loads` of the ledger alone.
LOADS = """
CREATE TABLE loads (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    device TEXT NOT NULL,
    device_name TEXT NOT NULL,
    runtime TEXT NOT NULL,
    build TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    context INTEGER NOT NULL,
    kv_type TEXT NOT NULL,
    gpu_layers INTEGER NOT NULL,
    predicted_bytes INTEGER NOT NULL,
    predicted_sigma_bytes INTEGER NOT NULL,
    method TEXT NOT NULL,
    measured_bytes INTEGER NOT NULL,
    buffers_bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX loads_at ON loads(at);
"""

# A queue is a series of rounds dealt ahead and played one after another; `ended_at`: it was called off.
# `continues` names the round of which this one is a further turn, with the same contestants on the same seats.
# `choices` holds the second vote, cast with names and speeds known: it is never rated beside the blind ones.
SESSIONS = """
CREATE TABLE queues (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    created_at TEXT NOT NULL,
    ended_at TEXT
) STRICT;

ALTER TABLE rounds ADD COLUMN queue INTEGER REFERENCES queues(id);
ALTER TABLE rounds ADD COLUMN continues TEXT REFERENCES rounds(id);
CREATE INDEX rounds_queue ON rounds(queue) WHERE queue IS NOT NULL;
CREATE UNIQUE INDEX rounds_continues ON rounds(continues) WHERE continues IS NOT NULL AND state <> 'void';
ALTER TABLE votes ADD COLUMN strength INTEGER;

CREATE TABLE choices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    round TEXT NOT NULL REFERENCES rounds(id),
    verdict TEXT NOT NULL,
    kind TEXT NOT NULL,
    ranking TEXT NOT NULL,
    voter TEXT NOT NULL,
    cast_at TEXT NOT NULL,
    retracted_at TEXT
) STRICT;
CREATE UNIQUE INDEX choices_standing ON choices(round, voter) WHERE retracted_at IS NULL;
"""

# What came from files. Imported votes are no rounds of this database: they have no answers, and nothing of them is
# sealed. `import_rounds` are rounds of other databases of arena, counted by the same rules as those played here.
# `import_battles` are bare pairs with a winner, by the million; `key` says which battle it is, `n` how many equal ones.
# `import_tallies` is what the leaderboard reads of them, and can be made anew from them at any time.
EXCHANGE = """
CREATE TABLE imports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    voter TEXT NOT NULL,
    source TEXT NOT NULL,
    imported_at TEXT NOT NULL
) STRICT;

CREATE TABLE import_contestants (
    import INTEGER NOT NULL REFERENCES imports(id),
    id INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    name TEXT NOT NULL,
    quantization TEXT NOT NULL,
    PRIMARY KEY (import, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE import_rounds (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    import INTEGER NOT NULL REFERENCES imports(id),
    round TEXT NOT NULL,
    judge TEXT NOT NULL,
    seats TEXT NOT NULL,
    chars TEXT NOT NULL,
    kind TEXT NOT NULL,
    ranking TEXT NOT NULL,
    blind INTEGER NOT NULL,
    flags TEXT NOT NULL,
    prompt TEXT NOT NULL,
    tags TEXT NOT NULL,
    language TEXT NOT NULL,
    cast_at TEXT NOT NULL,
    decided_ms INTEGER,
    UNIQUE (round, judge)
) STRICT;

CREATE TABLE import_battles (
    key BLOB NOT NULL,
    import INTEGER NOT NULL REFERENCES imports(id),
    a INTEGER NOT NULL,
    b INTEGER NOT NULL,
    winner TEXT NOT NULL,
    n INTEGER NOT NULL,
    blind INTEGER NOT NULL,
    tags TEXT NOT NULL,
    language TEXT NOT NULL,
    cast_at TEXT NOT NULL,
    PRIMARY KEY (key, import)
) STRICT, WITHOUT ROWID;

CREATE TABLE import_tallies (
    import INTEGER NOT NULL REFERENCES imports(id),
    a INTEGER NOT NULL,
    b INTEGER NOT NULL,
    tags TEXT NOT NULL,
    language TEXT NOT NULL,
    a_won INTEGER NOT NULL,
    b_won INTEGER NOT NULL,
    ties INTEGER NOT NULL,
    both_bad INTEGER NOT NULL,
    PRIMARY KEY (import, a, b, tags, language)
) STRICT, WITHOUT ROWID;
"""

# Judged again later, with the answers laid out anew (`dealt`: the seats in the order in which they were shown). The
# names had been seen by then: such a verdict stands beside the vote, which is kept and is the one that rates.
REVOTES = """
CREATE TABLE revotes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    round TEXT NOT NULL REFERENCES rounds(id),
    verdict TEXT NOT NULL,
    kind TEXT NOT NULL,
    ranking TEXT NOT NULL,
    dealt TEXT NOT NULL,
    strength INTEGER,
    decided_ms INTEGER,
    voter TEXT NOT NULL,
    cast_at TEXT NOT NULL
) STRICT;
CREATE INDEX revotes_round ON revotes(round);
"""
