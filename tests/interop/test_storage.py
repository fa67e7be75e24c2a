"""Studies of gpu-train and of Python's Optuna, in SQLite, PostgreSQL and a journal: each reads what the
other wrote, and workers of both share one study.

`storage_probe` (storage_probe.rs) is gpu-train's storage with a command line; STORAGE_PROBE names
another one. PostgreSQL's own binaries are looked for with pg_config and in /usr/lib/postgresql; the
server that is started here wants passwords, offers TLS, and lies in another time zone than this
process, which lies in another than UTC.
"""

import glob
import json
import math
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

ROOT = Path(__file__).resolve().parents[2]
PROBE = os.environ.get("STORAGE_PROBE", ROOT / "target" / "release" / "examples" / "storage_probe")
KINDS = ("sqlite", "postgresql", "journal")
PASSWORD = "se:cr@t/1%"
# Workers and trials of each in a mixed run.
WORKERS, EACH = 2, 15

os.environ["TZ"] = "America/New_York"
time.tzset()
optuna.logging.set_verbosity(optuna.logging.WARNING)
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning",
                                        "ignore:Choices for a categorical")


def probe(*words, fails=False):
    """Runs the probe: what it prints, or where it must fail what it complains of."""
    done = subprocess.run([PROBE, *map(str, words)], capture_output=True, text=True, timeout=300)
    assert (done.returncode != 0) == fails, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stderr if fails else done.stdout


class Server:
    """A PostgreSQL server of this test's own."""

    def __init__(self, folder):
        self.folder = folder
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        initdb = shutil.which("initdb") or (found[-1] if found else None)
        if initdb is None:
            pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
        self.bin = Path(initdb).resolve().parent
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "password").write_text(PASSWORD)
        self.certificates()
        # It refuses to be root.
        self.user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.user:
            subprocess.run(["chown", "-R", "postgres", folder], check=True)
        self.call("initdb", "-D", folder / "data", "-U", "tuner", "-A", "scram-sha-256", "-E", "UTF8",
                  "--pwfile", folder / "password")
        self.start()
        self.databases = 0

    def certificates(self):
        """An authority, and a certificate for `localhost` (not for 127.0.0.1) that it signed."""
        def openssl(*words):
            subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt",
                "-days", "2", "-subj", "/CN=authority")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "other.key", "-out",
                "other.crt", "-days", "2", "-subj", "/CN=another authority")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr",
                "-subj", "/CN=localhost")
        (self.folder / "san").write_text("subjectAltName=DNS:localhost\n")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", "san", "-out", "server.crt")
        for name in ("ca.crt", "other.crt"):
            shutil.copy(self.folder / name, f"{self.folder}-{name}")

    def call(self, program, *words):
        # Not a pipe: a server that is started would keep it open.
        with tempfile.TemporaryFile() as said:
            command = [*self.user, self.bin / program, *words]
            done = subprocess.run(command, stdout=said, stderr=said, cwd="/")
            said.seek(0)
            assert done.returncode == 0, said.read().decode()

    def start(self):
        options = (f"-p {self.port} -k {self.folder} -c listen_addresses=localhost -c fsync=off "
                   f"-c TimeZone=Asia/Tokyo -c ssl=on -c ssl_cert_file={self.folder}/server.crt "
                   f"-c ssl_key_file={self.folder}/server.key")
        self.call("pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-o", options, "-w",
                  "start")

    def stop(self):
        """As a crash does it: connections are cut."""
        self.call("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-w", "stop")

    def url(self, database="postgres", host="127.0.0.1"):
        password = "".join(f"%{byte:02x}" for byte in PASSWORD.encode())
        return f"postgresql+psycopg2://tuner:{password}@{host}:{self.port}/{database}"

    def new_database(self):
        self.databases += 1
        name = f"studies{self.databases}"
        engine = sqlalchemy.create_engine(self.url(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)


@pytest.fixture(scope="session")
def server():
    # Not pytest's folder, which other users may not enter.
    folder = Path(tempfile.mkdtemp(prefix="gpu-train-postgres-"))
    folder.chmod(0o755)
    server = Server(folder)
    yield server
    server.stop()
    shutil.rmtree(folder)
    for path in glob.glob(f"{folder}-*"):
        os.unlink(path)


@pytest.fixture
def new_url(request, tmp_path):
    """Makes URLs of empty storages."""
    def make(kind):
        if kind == "postgresql":
            return request.getfixturevalue("server").new_database()
        make.count += 1
        path = tmp_path / f"studies-{make.count}"
        return f"sqlite:///{path}.db" if kind == "sqlite" else f"journal:{path}.log"
    make.count = 0
    return make


def storage_of(url, **options):
    """Python's storage of a URL."""
    if url.startswith("journal:"):
        return JournalStorage(JournalFileBackend(url.removeprefix("journal:")))
    arguments = {"timeout": 60} if url.startswith("sqlite") else {"connect_timeout": 60}
    return RDBStorage(url, engine_kwargs={"connect_args": arguments}, **options)


def same(a, b):
    """Equality in which NaN is itself, and True is not 1."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return type(a) is type(b) and a == b


def as_dumped(study):
    """What the probe's dump says, of Python's study."""
    trials = []
    for trial in study.get_trials(deepcopy=False):
        distributions = {name: json.loads(optuna.distributions.distribution_to_json(d))
                         for name, d in trial.distributions.items()}
        seconds = [t and t.astimezone(timezone.utc).timestamp()
                   for t in (trial.datetime_start, trial.datetime_complete)]
        trials.append({
            "number": trial.number, "state": trial.state.name, "values": trial.values or [],
            "params": trial.params, "distributions": distributions,
            "intermediate": {str(k): v for k, v in trial.intermediate_values.items()},
            "user": trial.user_attrs, "system": trial.system_attrs,
            "started": seconds[0], "completed": seconds[1]})
    return {"directions": [d.name for d in study.directions], "user": study.user_attrs,
            "system": study._storage.get_study_system_attrs(study._study_id), "trials": trials}


def check_same(url, name):
    """Both say the same of a study."""
    theirs = as_dumped(optuna.load_study(study_name=name, storage=storage_of(url)))
    ours = json.loads(probe(url, "dump", name))
    for a, b in zip(ours["trials"], theirs["trials"]):
        assert same(a, b), f"{a}\n{b}"
    assert same(ours, theirs)
    return theirs["trials"]


# What a database has of tables.

def schema_of(url):
    """Tables, columns, keys, indices and enumerated types, and what Optuna notes of versions."""
    engine = sqlalchemy.create_engine(url)
    inspector = sqlalchemy.inspect(engine)
    schema = {}
    for table in inspector.get_table_names():
        columns = [(c["name"], str(c["type"]), getattr(c["type"], "name", None), c["nullable"],
                    re.sub(r"::\w+", "", c["default"] or "")) for c in inspector.get_columns(table)]
        keys = inspector.get_foreign_keys(table)
        unique = inspector.get_unique_constraints(table)
        checks = inspector.get_check_constraints(table)
        indices = [i for i in inspector.get_indexes(table) if "duplicates_constraint" not in i]
        schema[table] = {
            "columns": columns, "primary": inspector.get_pk_constraint(table),
            "foreign": [(k["name"], k["constrained_columns"], k["referred_table"]) for k in keys],
            "unique": sorted((str(u["name"]), u["column_names"]) for u in unique),
            "checks": [re.sub(r"\W", "", check["sqltext"]) for check in checks],
            "indices": [(i["name"], i["column_names"], i["unique"]) for i in indices]}
    if url.startswith("postgresql"):
        schema["types"] = sorted((e["name"], e["labels"]) for e in inspector.get_enums())
    with engine.connect() as connection:
        for table in ("version_info", "alembic_version"):
            rows = connection.execute(sqlalchemy.text(f"SELECT * FROM {table}")).all()
            schema[f"rows of {table}"] = [tuple(row) for row in rows]
    engine.dispose()
    return schema


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_tables_are_those_of_optuna(kind, new_url):
    ours, theirs = new_url(kind), new_url(kind)
    probe(ours, "write")
    storage_of(theirs)
    ours, theirs = schema_of(ours), schema_of(theirs)
    assert ours.keys() == theirs.keys()
    for table, what in theirs.items():
        assert ours[table] == what, table
    assert theirs["rows of alembic_version"] == [("v3.2.0.a",)]


def test_the_journal_mode_of_a_file_stays(new_url):
    url = new_url("sqlite")
    path = url.removeprefix("sqlite:///")
    for mode in ("delete", "wal"):
        with sqlite3.connect(path) as connection:
            connection.execute(f"PRAGMA journal_mode={mode}")
        probe(url, "work", mode, 1, 0)
        with sqlite3.connect(path) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == (mode,)


# What one wrote the other reads.

@pytest.mark.parametrize("kind", KINDS)
def test_python_reads_ours(kind, new_url):
    url = new_url(kind)
    before = datetime.now()
    probe(url, "write")
    trials = check_same(url, "ours")
    states = ["COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING", "COMPLETE"]
    assert [t["state"] for t in trials] == states
    assert trials[0]["params"] == {"lr": 0.1 + 0.2, "share": 0.75, "layers": 5, "width": 1024,
                                   "opt": None}
    assert trials[0]["values"] == [math.inf, 0.1]
    steps = {"0": 2.5, "1": math.nan, "5": math.inf, "7": -math.inf, "9": 1e-300}
    assert same(trials[1]["intermediate"], steps)
    assert trials[5]["completed"] == 1767323046.5

    study = optuna.load_study(study_name="ours", storage=storage_of(url))
    assert study.metric_names == ["loss", "accuracy"]
    assert study.user_attrs["note"]["a"][2] == "ü"
    # Python goes on with it: what was queued first, with the distributions that are there.
    trial = study.ask()
    assert trial.number == 4
    assert before <= study.trials[4].datetime_start <= datetime.now()
    assert trial.suggest_float("lr", 1e-5, 1, log=True) == 0.01
    choices = ["sgd \"ü\"", None, True, 3, 0.5]
    assert trial.suggest_categorical("opt", choices) == choices[0]
    assert trial.suggest_int("layers", 1, 9, step=2) in (1, 3, 5, 7, 9)
    study.tell(trial, [1, 2])
    with pytest.raises(ValueError):
        study.ask().suggest_float("lr", 0, 1)
    # (1, 2) and (-1.5, -inf); (inf, 0.1) is worse than the first.
    assert {t.number for t in study.best_trials} == {4, 5}
    check_same(url, "ours")


@pytest.mark.parametrize("kind", KINDS)
def test_we_read_pythons(kind, new_url):
    url = new_url(kind)
    study = optuna.create_study(study_name="theirs ü", storage=storage_of(url), direction="maximize")
    study.set_user_attr("note", {"a": [1, math.nan, "ü\n"], "b": None})
    study.set_metric_names(["accuracy"])
    study.enqueue_trial({"x": 0.25, "k": None}, user_attrs={"why": "a guess"})

    def objective(trial):
        x = trial.suggest_float("x", 0, 1)
        trial.suggest_categorical("k", ["a", None, True, 3, 0.5, math.inf, -math.inf])
        trial.suggest_float("lr", 1e-6, 1e-1, log=True)
        trial.suggest_float("share", 0, 1, step=0.25)
        trial.suggest_int("n", 1, 100, log=True)
        trial.suggest_int("m", -5, 5, step=5)
        trial.set_user_attr("text", "it's \"ü\" \\ \n $1")
        trial.set_user_attr("numbers", [1, -2.5e-300, math.inf, -math.inf, math.nan, 10 ** 15])
        for step, value in enumerate([0.5, math.nan, math.inf, -math.inf, 1e-300]):
            trial.report(value, step * 3)
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 2:
            raise ArithmeticError
        return math.inf if trial.number == 3 else x

    study.optimize(objective, n_trials=5, catch=ArithmeticError)
    study.add_trial(optuna.create_trial(
        value=0.5, params={"x": 0.5, "n": 7}, intermediate_values={1: math.nan},
        distributions={"x": FloatDistribution(0, 1), "n": IntDistribution(1, 100, log=True)}))
    choices = ["a", None, True, 3, 0.5, math.inf, -math.inf]
    study.enqueue_trial({"k": math.inf})
    study.ask(fixed_distributions={"k": CategoricalDistribution(choices)})
    study.ask(fixed_distributions={"k": CategoricalDistribution(choices)})
    study.enqueue_trial({"x": 0.75})
    trials = check_same(url, "theirs ü")
    states = ["COMPLETE", "PRUNED", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE", "RUNNING", "RUNNING", "WAITING"]
    assert [t["state"] for t in trials] == states


# One study, many workers.

# What workers of both search, and how many steps a trial of theirs has.
SPACE = {"x": FloatDistribution(-10, 10),
         "k": CategoricalDistribution(["sgd \"ü\"", None, True, 3, 0.5])}
STEPS = 3


def worker(url, study, n, pause):
    """A worker of ours on a study that exists, as a running process: `n` trials of `STEPS` steps with
    `pause` seconds between. It prints "begin" and "end" with the number of a trial."""
    command = [PROBE, url, "work", study, str(n), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def python_worker(url, study, n, pause):
    """Such a worker in Python."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_storage; "
    code += f"test_storage.work({url!r}, {study!r}, {n}, {pause})"
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def work(url, name, n, pause):
    """What it does."""
    def suggest(trial, name, d):
        if isinstance(d, FloatDistribution):
            return trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)
        if isinstance(d, IntDistribution):
            return trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
        return trial.suggest_categorical(name, d.choices)

    def objective(trial):
        for name, distribution in SPACE.items():
            suggest(trial, name, distribution)
        trial.set_user_attr("by", "python")
        for step in range(1, STEPS + 1):
            trial.report(1 / step, step)
            time.sleep(pause)
        return 1 / STEPS

    heartbeat = {} if url.startswith("journal:") else {"heartbeat_interval": 1, "grace_period": 30}
    study = optuna.load_study(study_name=name, storage=storage_of(url, **heartbeat))
    study.optimize(objective, n_trials=n)


def finish(processes):
    for process in processes:
        said, complaint = process.communicate(timeout=300)
        assert process.returncode == 0, f"{said}\n{complaint}"


@pytest.mark.parametrize("kind", KINDS)
def test_workers_of_both_share_a_study(kind, new_url):
    url = new_url(kind)
    study = optuna.create_study(study_name="shared", storage=storage_of(url))
    queued = 8
    for k in range(queued):
        study.enqueue_trial({"x": k / 8}, user_attrs={"queued": k})
    makers = [worker, python_worker] * WORKERS
    finish([make(url, "shared", EACH, 0.01) for make in makers])

    trials = study.get_trials()
    assert [t.number for t in trials] == list(range(len(makers) * EACH))
    assert all(t.state == TrialState.COMPLETE for t in trials)
    assert [t.user_attrs.get("queued") for t in trials[:queued]] == list(range(queued))
    by = [t.user_attrs.get("by") for t in trials]
    assert by.count("python") == by.count("gpu-train") == WORKERS * EACH
    assert all(len(t.intermediate_values) == STEPS for t in trials)
    assert all(t.params.keys() == SPACE.keys() for t in trials)
    check_same(url, "shared")


def until(process, word):
    """Reads what a worker prints until a line begins with a word."""
    for line in process.stdout:
        if line.startswith(word):
            return int(line.split()[1])
    pytest.fail(f"no \"{word}\" was printed: {process.stderr.read()}")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("by", ["ours", "python"])
def test_the_trial_of_a_killed_worker_is_queued_again(kind, by, new_url):
    url = new_url(kind)
    study = optuna.create_study(study_name="killed", storage=storage_of(url))
    dying = worker(url, "killed", 1, 60)
    number = until(dying, "begin")
    deadline = time.time() + 60
    while not study.trials[number].intermediate_values and time.time() < deadline:
        time.sleep(0.05)
    dying.send_signal(signal.SIGKILL)
    dying.communicate()
    time.sleep(4.5)
    if by == "ours":
        finish([worker(url, "killed", 2, 0)])
    else:
        retry = RetryHeartbeatStaleTrialCallback()
        storage = storage_of(url, heartbeat_interval=1, grace_period=3,
                             heartbeat_stale_trial_callback=retry)
        optuna.load_study(study_name="killed", storage=storage).optimize(lambda trial: 1, n_trials=2)
    dead, again, new = study.get_trials()
    assert (dead.state, again.state, new.state) == (TrialState.FAIL,) + (TrialState.COMPLETE,) * 2
    assert again.params == dead.params != {}
    assert again.system_attrs == {"failed_trial": 0, "retry_history": [0]}
    assert again.user_attrs == dead.user_attrs and new.system_attrs == {}
    check_same(url, "killed")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_we_queue_what_a_killed_python_worker_had(kind, new_url):
    url = new_url(kind)
    study = optuna.create_study(study_name="killed", storage=storage_of(url))
    dying = python_worker(url, "killed", 1, 60)
    deadline = time.time() + 60
    while not (study.trials and study.trials[0].intermediate_values) and time.time() < deadline:
        time.sleep(0.05)
    dying.send_signal(signal.SIGKILL)
    dying.communicate()
    time.sleep(4.5)
    finish([worker(url, "killed", 1, 0)])
    dead, again = study.get_trials()
    assert (dead.state, again.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert again.params == dead.params and again.system_attrs["retry_history"] == [0]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_living_worker_is_not_taken_for_dead(kind, new_url):
    """Its heartbeats are fresh to Python too, whatever the zone of the server."""
    url = new_url(kind)
    study = optuna.create_study(study_name="alive", storage=storage_of(url))
    living = worker(url, "alive", 1, 1)
    until(living, "begin")
    storage = storage_of(url, heartbeat_interval=1, grace_period=5)
    optuna.load_study(study_name="alive", storage=storage).optimize(lambda trial: 1, n_trials=1)
    finish([living])
    assert [t.state for t in study.get_trials()] == [TrialState.COMPLETE] * 2


# PostgreSQL's own.

def test_a_server_that_restarts_loses_nothing(server):
    url = server.new_database()
    study = optuna.create_study(study_name="restart", storage=storage_of(url))
    study._storage.remove_session()
    running = worker(url, "restart", 12, 0.3)
    until(running, "end")
    server.stop()
    time.sleep(1)
    server.start()
    said, complaint = running.communicate(timeout=300)
    assert running.returncode == 0, f"{said}\n{complaint}"
    assert "trying again in 1 s" in complaint
    trials = optuna.load_study(study_name="restart", storage=storage_of(url)).get_trials()
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    assert len(complete) == 12
    assert all(len(t.intermediate_values) == STEPS and t.params for t in complete)


def test_tls(server):
    name = server.new_database().rsplit("/", 1)[1]
    probe(server.url(name), "write")

    def dump(host, options, fails=False):
        return probe(server.url(name, host) + options, "dump", "ours", fails=fails)

    ca, other = f"{server.folder}-ca.crt", f"{server.folder}-other.crt"
    for options in ("?sslmode=disable", "?sslmode=allow", "?sslmode=prefer", "?sslmode=require",
                    f"?sslmode=require&sslrootcert={ca}", f"?sslmode=verify-ca&sslrootcert={ca}"):
        dump("127.0.0.1", options)
    dump("localhost", f"?sslmode=verify-full&sslrootcert={ca}")
    # The certificate names localhost alone.
    assert "not valid for name" in dump("127.0.0.1", f"?sslmode=verify-full&sslrootcert={ca}", fails=True)
    for mode in ("require", "verify-ca", "verify-full"):
        said = dump("localhost", f"?sslmode={mode}&sslrootcert={other}", fails=True)
        assert "UnknownIssuer" in said, said
    assert "nowhere.crt" in dump("localhost", "?sslmode=verify-ca&sslrootcert=/nowhere.crt", fails=True)

    # A server that wants TLS of those who are not at home.
    rules = server.folder / "data" / "pg_hba.conf"
    kept = rules.read_text()
    rules.write_text("hostssl all all all scram-sha-256\n")
    server.call("pg_ctl", "-D", server.folder / "data", "reload")
    try:
        deadline = time.time() + 30
        while time.time() < deadline:
            done = subprocess.run([PROBE, server.url(name) + "?sslmode=disable", "dump", "ours"],
                                  capture_output=True, text=True)
            if done.returncode != 0:
                break
        assert "no encryption" in done.stderr, done.stderr
        for mode in ("allow", "prefer", "require"):
            dump("127.0.0.1", f"?sslmode={mode}")
    finally:
        rules.write_text(kept)
        server.call("pg_ctl", "-D", server.folder / "data", "reload")


def test_what_cannot_be_reached_is_said(server):
    wrong = server.url().replace("tuner:", "tuner:x")
    said = probe(wrong, "dump", "ours", fails=True)
    assert "password authentication failed" in said and "127.0.0.1" in said
    assert "does not exist" in probe(server.url("nowhere"), "dump", "ours", fails=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    gone = server.url().replace(f":{server.port}/", f":{port}/")
    said = probe(gone, "dump", "ours", fails=True)
    assert "refused" in said and PASSWORD not in said and "%40" not in said


# The dashboard.

@pytest.mark.parametrize("kind", KINDS)
def test_the_dashboard_shows_our_study(kind, new_url):
    url = new_url(kind)
    probe(url, "write")
    probe(url, "work", "plain", 3, 0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "optuna-dashboard"
    shown = subprocess.Popen([program, url.removeprefix("journal:"), "--port", str(port), "--host",
                              "127.0.0.1"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def get(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=30) as answer:
            return json.load(answer)

    try:
        deadline = time.time() + 60
        while True:
            try:
                studies = get("api/studies")["study_summaries"]
                break
            except OSError:
                assert shown.poll() is None, shown.stderr.read()
                assert time.time() < deadline
                time.sleep(0.1)
        names = {study["study_name"]: study["study_id"] for study in studies}
        assert names.keys() == {"ours", "plain"}
        trials = get(f"api/studies/{names['ours']}")["trials"]
        states = ["Complete", "Pruned", "Fail", "Running", "Waiting", "Complete"]
        assert [t["state"] for t in trials] == states
        trials = get(f"api/studies/{names['plain']}")["trials"]
        assert [len(t["intermediate_values"]) for t in trials] == [3, 3, 3]
        assert {p["name"] for p in trials[0]["params"]} == {"x", "k"}
    finally:
        shown.terminate()
        shown.wait()
