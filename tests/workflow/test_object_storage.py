"""A results folder in object storage: a local S3 server, a run, a second run, a lost object."""

import os
import re
import subprocess
import sys
import threading

import pytest

from projects import said

BUCKET = "sky"
BRANCHES = (
    ("magnetic", "sdo", "stealth", "ztf") if os.environ.get("SKYMILL_EXTRA") else ("stealth",)
)
"""A branch; `make test-extra` has all branches. Each document is a separate request."""
LOCATED = r"sdo/((train|test)_metadata\.csv|croissant\.json|README\.md\.manifest\.json)"
"""Products with the locations of images, or with the checksums of these. They therefore differ."""
WHERE = (
    "--default-storage-provider",
    "s3",
    "--default-storage-prefix",
    f"s3://{BUCKET}/project",
)
NOTES = (".snakemake_timestamp", "products.json")
"""Notes of Snakemake and of runs next to the products."""

KEYS = {"ACCESS_KEY": "planted-key-1234", "SECRET_KEY": "planted-secret-5678"}


@pytest.fixture
def bucket(project):
    """A bucket on a server on loopback, and a project whose environment has its credentials."""
    import boto3
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    project.variables |= {f"SNAKEMAKE_STORAGE_S3_{name}": value for name, value in KEYS.items()}
    project.variables |= {
        "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": KEYS["ACCESS_KEY"],
        "AWS_SECRET_ACCESS_KEY": KEYS["SECRET_KEY"],
        "AWS_ENDPOINT_URL": address,
        "AWS_DEFAULT_REGION": "us-east-1",
        "no_proxy": "127.0.0.1",
        "NO_PROXY": "127.0.0.1",
    }
    client = boto3.client(
        "s3",
        endpoint_url=address,
        aws_access_key_id=KEYS["ACCESS_KEY"],
        aws_secret_access_key=KEYS["SECRET_KEY"],
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()
    server.stop()
    assert threading.active_count() < 20


def content(client):
    """Return the content of every object below the results folder, by its path in the project."""
    found = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for entry in page.get("Contents", ()):
            name = entry["Key"].removeprefix("project/")
            if name.startswith("data/") and not name.endswith(
                (".snakemake_timestamp", "products.json")
            ):
                found[name] = client.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
    return found


def test_branches_have_the_same_bytes_as_on_a_disk_and_their_losses_are_noticed(
    finished, project, bucket
):
    project.run("--cores", "2", *WHERE, *BRANCHES)
    there = content(bucket)
    expected = finished.products()
    made = {name for name in expected if any(f"/{branch}/" in name for branch in BRANCHES)}
    assert made
    assert {*there} >= made
    assert {name for name in there if there[name] != expected[name]} == {
        name for name in there if re.search(LOCATED, name)
    }

    summary = subprocess.run(
        [sys.executable, "-m", "skymill", "summary", f"s3://{BUCKET}/project/data"],
        env=project.environment(),
        capture_output=True,
        text=True,
    )
    assert "preprocessed/stealth/solar_flares.parquet" in summary.stdout, said(summary)
    assert "DAMAGED" not in summary.stdout

    lost = "project/data/preprocessed/stealth/solar_flares.parquet.manifest.json"
    bucket.delete_object(Bucket=BUCKET, Key=lost)
    assert project.stale(*WHERE, "stealth") == {"convert_stealth", "illustrate_stealth", "stealth"}
    cut = "project/data/interim/stealth/quarantine.jsonl"
    bucket.put_object(Bucket=BUCKET, Key=cut, Body=b"")
    done = project.run("--cores", "2", *WHERE, *BRANCHES)
    assert project.planned(done) - {*BRANCHES} == {
        "ingest_stealth",
        "convert_stealth",
        "illustrate_stealth",
    }
    assert content(bucket) == there
    assert project.stale(*WHERE, *BRANCHES) == set()

    secrets = [value.encode() for value in KEYS.values()]
    for path in project.folder.rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            assert not any(secret in text for secret in secrets), path
