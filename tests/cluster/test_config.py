"""A configuration that cannot be meant is an error that names the key, the value and the fix."""
from case import case
from process import check
from tables import execute, scalar

GOOD = '[[database]]\npath = "{db}"\nname = "app"\n'

# name -> (file, words that the message must hold)
BAD = {
    "unknown key": ("nod_id = 1\n" + GOOD, ["nod_id", "node_id"]),
    "unknown key in a table": (GOOD + '[nats]\nurl = "nats://127.0.0.1:4222"\n', ["nats.url", "urls"]),
    "unknown key of a database": (GOOD + 'tabels = ["*"]\n', ["tabels", "tables"]),
    "wrong type": ('node_id = "one"\n' + GOOD, ["node_id", "one"]),
    "wrong type in a list": (GOOD + "tables = [1]\n", ["tables"]),
    "node id out of range": ("node_id = 9007199254740992\n" + GOOD, ["node_id", "9007199254740992"]),
    "negative": ("poll_interval_ms = -5\n" + GOOD, ["poll_interval_ms", "-5"]),
    "bad size": (GOOD + '[log]\nmax_bytes = "1 gigantic"\n', ["max_bytes", "1 gigantic"]),
    "bad duration": (GOOD + '[log]\nmax_age = "soon"\n', ["max_age", "soon"]),
    "bad replicas": (GOOD + "[log]\nreplicas = 9\n", ["replicas", "9"]),
    "bad url": (GOOD + '[nats]\nurls = ["htp:/nowhere"]\n', ["urls", "htp:/nowhere"]),
    "bad level": (GOOD + '[logging]\nlevel = "loud"\n', ["level", "loud"]),
    "bad format": (GOOD + '[logging]\nformat = "xml"\n', ["format", "xml"]),
    "bad name": ('[[database]]\npath = "{db}"\nname = "my app"\n', ["name", "my app"]),
    "two of a name": (GOOD + '[[database]]\npath = "{db}2"\nname = "app"\n', ["name", "app"]),
    "one file twice": (GOOD + '[[database]]\npath = "{db}"\nname = "other"\n', ["twice"]),
    "no path": ('[[database]]\nname = "app"\n', ["path"]),
    "not TOML": ("this is not toml\n", ["marmot.toml"]),
    "bad adopt": (GOOD + 'adopt = "maybe"\n', ["adopt", "maybe"]),
}


@case("every bad configuration ends with 2, in `config check` and in `agent`, naming key, value and fix", short=True)
def bad_configurations(t):
    db = t.dir / "app.db"
    execute(db, "CREATE TABLE a(id INTEGER PRIMARY KEY)")
    config = t.dir / "marmot.toml"
    for name, (text, words) in BAD.items():
        config.write_text(text.replace("{db}", str(db)))
        for arguments in (["config", "check", config], ["agent", "--config", config]):
            run = t.product.run(*arguments, seconds=10)
            check(run.returncode == 2, f"{name}: marmot {arguments[0]} ended with {run.returncode}: {run.stdout}{run.stderr}")
            for word in words:
                check(word in run.stderr, f"{name}: no '{word}' in: {run.stderr}")
    check(scalar(db, "SELECT count(*) FROM sqlite_schema") == 1, "a bad configuration touched the database")


@case("a full configuration is accepted, and so is the example that is installed", short=True)
def good_configuration(t):
    config = t.dir / "marmot.toml"
    config.write_text(
        'node_id = 7\ndata_dir = "' + str(t.dir / "data") + '"\ncluster = "blue"\npoll_interval_ms = 50\natomic_rows = 1000\n'
        'max_clock_drift_ms = 500\n' + GOOD.replace("{db}", str(t.dir / "app.db")) +
        'tables = ["*"]\nexclude = ["tmp_*"]\n[nats]\nurls = ["nats://127.0.0.1:4222", "tls://other:4222"]\nuser = "u"\n'
        'password = "p"\n[log]\nreplicas = 3\nmax_age = "24h"\nmax_bytes = "1GiB"\ncompress = true\nupdate_existing = false\n'
        '[extensions]\nload = []\n[logging]\nlevel = "debug"\nformat = "json"\n')
    run = t.product.run("config", "check", config, seconds=10)
    check(run.returncode == 0, f"{run.returncode}: {run.stdout}{run.stderr}")
    missing = t.product.run("config", "check", t.dir / "none.toml", seconds=10)
    check(missing.returncode in (1, 2) and "none.toml" in missing.stderr, f"{missing.returncode}: {missing.stderr}")
