# SPDX-License-Identifier: GPL-3.0-or-later
"""podman.py - podman's Docker API in a network namespace of its own, and the docker client to speak to it.

    with Podman(spaces, tmp_path) as p:
        p.docker("run", "-d", "--network", "acme-net", p.image)      # p.image answers HTTP and anything else on the port it is told

What it takes on a machine without systemd: ulimits within ours, no cgroups for containers, a cgroup2 of the service's own."""
import contextlib
import os
import shutil
import subprocess

import pytest

from edge import eventually

DOCKER = shutil.which("docker") or "/usr/local/bin/docker"
APP = r"""
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **word) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(count > 1 ? atoi(word[1]) : 80)};
    int one = 1, s = socket(AF_INET, SOCK_STREAM, 0), fd;
    char said[4096];
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s, (struct sockaddr *)&at, sizeof at) || listen(s, 64))
        return 1;
    while ((fd = accept(s, NULL, NULL)) >= 0) {
        if (read(fd, said, sizeof said) > 0 && write(fd, answer, strlen(answer)) < 0)
            return 2;
        close(fd);
    }
    return 0;
}
"""
CONTAINERS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
cgroups = "disabled"
[engine]
events_logger = "file"
cgroup_manager = "cgroupfs"
runtime = "crun"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
STORAGE = '[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'


class Podman:
    image = "local/app:1"

    def __init__(self, spaces, folder):
        for program in ("podman", "crun", DOCKER):
            if not shutil.which(program):
                pytest.skip(f"{os.path.basename(program)} is not installed")
        self.folder, self.socket, self.space = folder, folder / "podman.sock", spaces.add("podman")
        for name, text in (("containers.conf", CONTAINERS), ("storage.conf", STORAGE), ("app.c", APP)):
            (folder / name).write_text(text.replace("{folder}", str(folder)))
        environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf"), "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf")}
        serve = "mount -t cgroup2 none /sys/fs/cgroup && exec podman system service --time=0 unix://" + str(self.socket)
        with open(folder / "podman.log", "wb") as log:
            self.process = subprocess.Popen(["ip", "netns", "exec", self.space, "unshare", "-m", "sh", "-c", serve],
                                            env=environment, stdout=log, stderr=log)

    def __enter__(self):
        try:
            eventually(lambda: self.socket.exists() or self.process.poll() is not None)
            if self.process.poll() is not None:
                pytest.skip("podman does not start here: " + (self.folder / "podman.log").read_text()[-300:])
            subprocess.run(["gcc", "-static", "-O1", "-o", "app", "app.c"], cwd=self.folder, check=True)
            subprocess.run(["tar", "cf", "app.tar", "app"], cwd=self.folder, check=True)
            self.docker("import", "-c", 'ENTRYPOINT ["/app"]', str(self.folder / "app.tar"), self.image)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            left = self.docker("ps", "-aq").split()
            self.docker(*(["rm", "-f", *left] if left else ["version"]))
        self.process.terminate()
        self.process.wait()

    def docker(self, *words, socket=None):
        """The docker client's stdout."""
        done = subprocess.run([DOCKER, "-H", f"unix://{socket or self.socket}", *words], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout
