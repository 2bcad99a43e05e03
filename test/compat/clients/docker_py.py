"""What programs do with docker-py. Asserts as it goes; the first failure ends it."""

import io
import socket
import sys
import tarfile
import time

import docker
from docker import errors, types

client = docker.DockerClient(base_url=sys.argv[1], timeout=30)
image = sys.argv[2]


def fails(kind, status, words, work):
    try:
        work()
    except kind as error:
        assert getattr(error, "status_code", status) == status, error
        assert words in str(error), error
        return
    raise AssertionError("nothing was raised: " + words)


def archive(name, data):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def runs():
    assert client.ping()
    assert client.containers.run(image, ["echo", "hi"], remove=True) == b"hi\n"
    script = 'sh -c "echo a; echo b >&2"'
    assert sorted(client.containers.run(image, script, stdout=True, stderr=True, remove=True).split()) == [b"a", b"b"]
    fails(errors.ContainerError, None, "returned non-zero exit status 4", lambda: client.containers.run(image, 'sh -c "exit 4"', remove=True))
    fails(errors.APIError, 400, "executable file not found in $PATH", lambda: client.containers.run(image, "nosuch", remove=True))
    fails(errors.NotFound, 404, "No such container: nosuch", lambda: client.containers.get("nosuch"))


def container_with_everything():
    container = client.containers.run(
        image,
        'sh -c "echo one; echo two; sleep 100"',
        detach=True,
        name="py",
        labels={"a": "b"},
        environment={"X": "1"},
        ports={"80/tcp": None},
        volumes={"pyvolume": {"bind": "/v", "mode": "rw"}},
        mem_limit="32m",
        nano_cpus=500000000,
        tmpfs={"/q": "size=1m"},
        cap_add=["NET_ADMIN"],
        extra_hosts={"h": "1.2.3.4"},
        stop_signal="SIGKILL",
        ulimits=[types.Ulimit(name="nofile", soft=1000, hard=2000)],
    )
    while container.logs() != b"one\ntwo\n":
        time.sleep(0.05)
    container.reload()
    assert container.status == "running"
    assert {binding["HostIp"] for binding in container.ports["80/tcp"]} == {"0.0.0.0", "::"}
    assert container.logs(tail=1) == b"two\n"
    assert next(iter(container.logs(stream=True, follow=True))).startswith(b"one\n")
    assert [one.name for one in client.containers.list(filters={"label": "a=b"})] == ["py"]
    fails(errors.APIError, 409, "is already in use by container", lambda: client.containers.create(image, "true", name="py"))
    return container


def execs(container):
    code, output = container.exec_run('sh -c "echo $X; exit 3"')
    assert (code, output) == (3, b"1\n")
    assert container.exec_run('sh -c "echo o; echo e >&2"', demux=True).output == (b"o\n", b"e\n")
    assert b"".join(container.exec_run('sh -c "echo o; echo e"', stream=True).output) == b"o\ne\n"
    assert container.exec_run("id -u", user="1000").output == b"1000\n"
    for _ in range(10):
        assert container.exec_run(["echo", "hi"]).output == b"hi\n"
    code, output = container.exec_run("nosuch")
    assert code == 127 and b"executable file not found in $PATH" in output
    created = client.api.exec_create(container.id, "cat", stdin=True)
    stream = client.api.exec_start(created["Id"], socket=True)
    raw = getattr(stream, "_sock", stream)
    raw.sendall(b"ping\n")
    received = b""
    while not received.endswith(b"ping\n"):
        received += raw.recv(100)
    raw.shutdown(socket.SHUT_WR)
    while raw.recv(100):
        pass
    assert client.api.exec_inspect(created["Id"])["ExitCode"] == 0


def files(container):
    assert container.put_archive("/v", archive("f", b"abc"))
    chunks, stat = container.get_archive("/v/f")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        assert tar.extractfile("f").read() == b"abc"
    assert (stat["name"], stat["size"]) == ("f", 3)
    fails(errors.NotFound, 404, "Could not find the file /nosuch", lambda: container.get_archive("/nosuch"))
    container.exec_run("touch /made")
    assert {"Path": "/made", "Kind": 1} in container.diff()
    assert "PID" in container.top()["Titles"]


def networks(container):
    pool = types.IPAMPool(subnet="10.232.9.0/24", gateway="10.232.9.1")
    network = client.networks.create("pynet", ipam=types.IPAMConfig(pool_configs=[pool]), labels={"l": "1"})
    network.connect(container, aliases=["also"], ipv4_address="10.232.9.7")
    container.reload()
    mine = container.attrs["NetworkSettings"]["Networks"]["pynet"]
    assert (mine["IPAddress"], mine["Aliases"]) == ("10.232.9.7", ["also"])
    network.reload()
    assert [one.name for one in network.containers] == ["py"]
    network.disconnect(container)
    network.remove()


def states(container):
    container.pause()
    container.reload()
    assert container.status == "paused"
    container.unpause()
    container.rename("py2")
    container.stop(timeout=1)
    assert container.wait() == {"StatusCode": 137}
    container.start()
    container.restart(timeout=0)
    container.kill()
    assert container.wait()["StatusCode"] == 137
    fails(errors.APIError, 409, "is not running", container.kill)


def images(container):
    made = container.commit("pyimage", "t")
    assert made.tags == ["pyimage:t"]
    container.remove(v=True)
    client.volumes.get("pyvolume").remove()
    assert made.tag("pyimage2", "x")
    loaded = client.images.load(b"".join(made.save(named=True)))
    assert "pyimage:t" in loaded[0].tags
    client.images.remove("pyimage:t")
    client.images.remove("pyimage2:x")
    fails(errors.ImageNotFound, 404, "No such image: pyimage:t", lambda: client.images.get("pyimage:t"))
    dockerfile = "FROM %s\nRUN echo hi\nLABEL a=b\n" % image
    built, lines = client.images.build(fileobj=io.BytesIO(dockerfile.encode()), tag="pybuilt", rm=True)
    assert built.labels == {"a": "b"} and any("hi\n" == line.get("stream") for line in lines)
    client.images.remove("pybuilt")
    broken = io.BytesIO(("FROM %s\nRUN false\n" % image).encode())
    fails(errors.BuildError, None, "returned a non-zero code: 1", lambda: client.images.build(fileobj=broken, rm=True))


def the_rest():
    client.containers.prune(filters={"label": "nosuch"})
    assert client.volumes.prune(filters={"label": "nosuch"}) == {"VolumesDeleted": [], "SpaceReclaimed": 0}
    since = int(time.time()) - 60
    # The second that runs now belongs to it.
    until = int(time.time()) + 1
    events = client.events(decode=True, since=since, until=until, filters={"type": "network"})
    assert {"create", "connect", "disconnect"} <= {event["Action"] for event in events}
    assert set(client.df()) == {"LayersSize", "Images", "Containers", "Volumes", "BuildCache"}
    fails(errors.APIError, 503, "This node is not a swarm manager", client.services.list)


runs()
full = container_with_everything()
execs(full)
files(full)
networks(full)
states(full)
images(full)
the_rest()
print("done")
