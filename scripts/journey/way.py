"""A run of the whole way, from its start to its end."""

import shutil
import time

import balance
from crm import LOST_ANSWERS, Crm
from mill import QUEUES, Mill
from node import Rabbit, void, wait_until
from watch import Delivered, Outcomes


class Journey:
    """What runs, from its start to its end."""

    def __init__(self, args, home):
        self.args, self.home = args, home
        self.rabbit = Rabbit(home / "rabbit")
        self.crm = self.mill = self.outcomes = self.provider = None

    def start(self):
        self.crm = Crm()
        self.crm.lose_answers()
        self.rabbit.connect().close()
        self.mill = Mill(self.args, self.home, self.rabbit, self.crm)
        self.outcomes = Outcomes(self.rabbit)
        self.outcomes.start()
        self.outcomes.bound.wait(60) or void("no queue for outcomes")
        self.mill.up()

    def send(self, faults):
        self.provider = self.mill.simulate(faults)
        delivered = Delivered(self.provider)
        delivered.start()
        return delivered

    def arrive(self):
        """Until each message has its outcome and its note: mediamill is killed at half of the webhooks, and at half of the outcomes."""
        delivered, kills, half = self.send(self.mill.faults), 0, self.args.messages // 2
        end = time.monotonic() + self.args.timeout
        while min(len(delivered.lines), len(self.outcomes.about()), len(self.crm.markers())) < self.args.messages:
            if time.monotonic() > end:
                void(f"{len(delivered.lines)} taken, {len(self.outcomes.about())} outcomes, {len(self.crm.markers())} notes after "
                     f"{self.args.timeout} s")
            due = [len(delivered.lines) >= half, len(self.outcomes.about()) >= half]
            if kills < len(due) and due[kills]:
                self.mill.kill()
                print(f"killed: {len(delivered.lines)} messages taken, {len(self.outcomes.about())} outcomes", flush=True)
                self.mill.up()
                kills += 1
            time.sleep(0.1)
        if kills < 2:
            void(f"mediamill was killed {kills} times instead of twice")
        self.settle()
        return delivered

    def settle(self):
        """Nothing waits any more; what would come twice has some time to do so."""
        wait_until("empty queues", 120, lambda: not self.rabbit.waiting(QUEUES))
        time.sleep(3)

    def balance(self, delivered):
        wrong, counts = balance.outcomes(self.args, self.home / "store", delivered, self.outcomes)
        wrong += balance.notes(self.crm, self.outcomes)
        wrong += balance.rows(self.mill.find(), self.outcomes)
        wrong += balance.links(self.crm.links(), 200)
        wrong += [f"{count} messages are left in {name}" for name, count in self.rabbit.waiting(QUEUES).items()]
        lost = self.crm.met("drop-after")
        if lost != LOST_ANSWERS:
            wrong.append(f"the CRM lost {lost} answers instead of {LOST_ANSWERS}")
        self.judge(wrong)
        return counts

    def erase(self):
        """The sender is erased, also in the CRM, and sends everything again."""
        links = self.crm.links()
        certificate = self.mill.erase()
        if certificate["media"] != self.args.messages or certificate.get("refused"):
            void(f"the certificate is about {certificate['media']} media of {self.args.messages}")
        wait_until("notes and files of the CRM gone", 120, lambda: not self.crm.links() and self.crm.files() == 0)
        self.provider.kill()
        self.provider.wait()
        again = self.send("")
        wait_until("everything sent again", 120, lambda: len(again.lines) == self.args.messages)
        self.settle()
        wrong = balance.links(links, 410)
        left = self.mill.media_bytes()
        if left:
            wrong.append(f"{left} bytes of media are stored")
        if files := self.crm.files():
            wrong.append(f"{files} files are in the CRM")
        if notes := self.crm.notes():
            wrong.append(f"{len(notes)} notes are in the CRM")
        wrong += [f"{row['media_id']} is in the catalogue as {row['state']}" for row in self.mill.find()]
        self.judge(wrong)
        return certificate, left

    def judge(self, wrong):
        for line in wrong[:20]:
            print(line)
        if wrong:
            void(f"the ledger does not balance ({len(wrong)} lines)")

    def end(self, is_void):
        if self.outcomes:
            self.outcomes.over = True
            self.outcomes.join(10)
        for process in (self.mill and self.mill.process, self.provider):
            if process:
                process.kill()
                process.wait()
        if self.crm:
            self.crm.end()
        self.rabbit.end()
        if is_void and self.args.keep:
            shutil.copytree(self.home, self.args.keep, dirs_exist_ok=True)
