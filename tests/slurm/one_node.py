"""A Slurm of one node in a folder of its own: own key, sockets, ports and state, so that it meets no other Slurm."""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "scancel", "sinfo"]

# Jobs of `low` are pushed aside by those of `main`: told to end, killed after KillWait, put back into the queue. One
# that was put back waits until the credential of its last start is over, which takes two minutes if nothing is said.
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=60
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES PriorityTier=2 PreemptMode=OFF State=UP
PartitionName=low Nodes={host} PriorityTier=1 State=UP
"""


def find(name):
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def why_not():
    """Why no Slurm can be started here, or None."""
    absent = [name for name in PROGRAMS if find(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian: slurm-wlm and munge)"
    return None if os.geteuid() == 0 else "slurmd can start jobs as root only"


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Slurm:
    """`environment` is what programs need to reach it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.running = []
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_", "SQUEUE_"))}
        self.environment["SLURM_CONF"] = str(self.folder / "slurm.conf")

    def start(self):
        self.folder.chmod(0o711)  # munged wants its socket to be within everyone's reach
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        controller, daemon = free_ports(2)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(
            host=socket.gethostname().split(".")[0], controller=controller, daemon=daemon, folder=self.folder,
            cores=os.cpu_count(), memory=memory // 2))
        self.daemon("munged", "--foreground", f"--socket={self.folder}/munge.socket", f"--key-file={key}",
                    f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/munged.log",
                    f"--seed-file={self.folder}/munged.seed")
        self.until(lambda: (self.folder / "munge.socket").exists(), "munged made no socket")
        self.daemon("slurmctld", "-D", "-i")
        self.daemon("slurmd", "-D")
        self.until(lambda: self.ask("sinfo", "--noheader", "--partition=main", "--format=%T").strip() == "idle",
                   "the node is not idle")

    def daemon(self, name, *arguments):
        with open(self.folder / f"{name}.out.log", "wb") as out:
            self.running.append(subprocess.Popen([find(name), *arguments], env=self.environment, cwd=self.folder,
                                                 stdin=subprocess.DEVNULL, stdout=out, stderr=out))

    def stop(self):
        """Jobs first: what a job started is no child of ours."""
        try:
            if self.ask("squeue", "--noheader"):
                self.ask("scancel", "--full", "--signal=KILL", "--user=root")
                self.ask("scancel", "--user=root")
                self.until(lambda: not self.ask("squeue", "--noheader"), "jobs do not end")
        finally:
            for process in reversed(self.running):
                process.terminate()
                process.wait(timeout=60)
            self.running = []

    def ask(self, *command):
        """What a command prints, whatever comes of it."""
        return subprocess.run(command, env=self.environment, capture_output=True, text=True).stdout

    def until(self, fulfilled, otherwise, seconds=120):
        end = time.monotonic() + seconds
        while not fulfilled():
            if time.monotonic() > end:
                logs = [f"{log}:\n{log.read_text()[-2000:]}" for log in sorted(self.folder.glob("*.log"))]
                raise AssertionError("\n".join([otherwise, *logs]))
            time.sleep(0.1)


class SlurmTest(unittest.TestCase):
    """Each class of tests has a Slurm, each test a folder."""

    @classmethod
    def setUpClass(cls):
        # Paths of sockets are short.
        home = pathlib.Path(tempfile.mkdtemp(prefix="xp-slurm-", dir="/tmp"))
        cls.addClassCleanup(shutil.rmtree, home, True)
        cls.slurm = Slurm(home)
        cls.addClassCleanup(cls.slurm.stop)
        cls.slurm.start()

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="xp-slurm-"))
        self.addCleanup(shutil.rmtree, self.folder, True)

    def submit(self, *arguments):
        """The number of the job."""
        done = subprocess.run(["sbatch", "--parsable", *arguments], env=self.slurm.environment, cwd=self.folder,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def job(self, number):
        """What Slurm knows of a job: {"JobState": "RUNNING", "Restarts": "0", ...}."""
        fields = self.slurm.ask("scontrol", "show", "job", "--oneliner", number).split()
        return dict(field.split("=", 1) for field in fields if "=" in field)

    def wait_for(self, number, **wanted):
        """Waits until the job has these properties: JobState="RUNNING", Restarts="1"."""
        self.slurm.until(lambda: wanted.items() <= self.job(number).items(), f"job {number} is not {wanted}")


def main():
    reason = why_not()
    if reason:
        print("skipped:", reason)
        sys.exit(77)
    unittest.main(verbosity=2)
