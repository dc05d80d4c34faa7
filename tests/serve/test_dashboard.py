# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a real browser. With PICTURES=DIR, what it looks like is left there."""
import os
import sys
import unittest

import browser
import servecase

servecase.require()
if not browser.find():
    print("1..0 # SKIP there is no Chromium; apt-get install chromium")
    sys.exit(servecase.SKIP)


class Dashboard(servecase.ServeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.page = browser.Browser()

    @classmethod
    def tearDownClass(cls):
        cls.page.close()
        super().tearDownClass()

    def picture(self, name):
        if "PICTURES" in os.environ:
            self.page.picture(os.path.join(os.environ["PICTURES"], name + ".png"))

    def log_in(self, key):
        self.page.wait("!document.getElementById('login').hidden")
        self.page.run("document.getElementById('key').focus()")
        self.page.type(key)
        self.page.run("document.querySelector('#login button').click()")

    def click(self, selector):
        self.page.run(f"document.querySelector({selector!r}).click()")

    def box(self, **labels):
        return self.server.ask("POST", "/v2/sandboxes", {"templateID": "base", "metadata": labels},
                               {"X-API-Key": self.key})[2]["sandboxID"]

    def test_a_visit(self):
        page = self.page
        page.size(1280, 800)
        page.open(self.server.url + "/")
        self.log_in("e2b_" + "0" * 40)
        page.wait("document.getElementById('trouble').textContent.includes('Invalid API key')")
        self.picture("login")
        page.problems.clear()
        self.log_in(self.key)
        page.wait("!document.getElementById('empty').hidden")
        self.create()
        bad = self.box(label="<img src=x onerror=alert(1)>")
        page.wait(f"document.querySelector('[data-id=\"{bad}\"] .label')")
        self.assertEqual(0, page.run("document.querySelectorAll('#boxes img').length"))
        page.wait("/%/.test(document.querySelector('td.number').textContent)")
        self.look_at_logs()
        self.use_terminal()
        page.size(390, 844, mobile=True)
        self.click("#close")
        self.picture("phone")
        self.assertLessEqual(page.run("document.documentElement.scrollWidth"), 390)
        self.stop(bad)
        self.assertEqual(page.run("location.href"), self.server.url + "/")
        page.run("document.getElementById('leave').click()")
        page.wait("!document.getElementById('login').hidden")
        self.assertIsNone(page.run("sessionStorage.getItem('sandboxes.key')"))
        self.assertEqual([], page.problems)

    def create(self):
        self.click("#new")
        self.page.run("document.getElementById('labels').value = 'team=blue\\nrun=7'")
        self.picture("create")
        self.click("#create button.primary")
        self.page.wait("document.querySelectorAll('#boxes tr').length === 1")
        self.assertEqual(["team=blue", "run=7"], self.page.run(
            "[...document.querySelectorAll('.label')].map(e => e.textContent)"))
        self.id = self.page.run("document.querySelector('#boxes tr').dataset.id")

    def look_at_logs(self):
        self.click(f"[data-id='{self.id}'] button")
        self.page.wait("document.querySelector('#logs .event')")
        self.assertIn("made from 'base'", self.page.run("document.getElementById('logs').textContent"))
        self.picture("logs")

    def use_terminal(self):
        page, terminal = self.page, f"[data-id='{self.id}'] button.terminal"
        if not page.run(f"document.querySelector(\"{terminal}\") !== null"):
            return  # built without it
        self.click(terminal)
        text = """(() => { const b = term.buffer.active, out = [];
            for (let i = 0; i < b.length; i++) out.push(b.getLine(i).translateToString(true));
            return out.join('\\n'); })()"""
        page.wait("window.term && term.buffer.active.getLine(0).translateToString(true)")
        page.type("echo $((6*7)); stty size")
        page.press("Enter", 13)
        page.wait(text + ".match(/^42$/m)")
        rows, columns = page.run("[term.rows, term.cols]")
        page.wait(text + f".includes('{rows} {columns}')")
        self.assertGreater(columns, 80)
        # The policy let the terminal's own styles in.
        self.assertTrue(page.run("[...document.querySelectorAll('.xterm style')].every(e => e.sheet?.cssRules.length)"))
        self.assertTrue(page.run("document.querySelector('.xterm style') !== null"))
        self.picture("terminal")

    def stop(self, ident):
        stop = f"[data-id='{ident}'] button.danger"
        self.click(stop)
        self.click(stop)
        self.page.wait(f"!document.querySelector(\"[data-id='{ident}']\")")
        with_key = {"X-API-Key": self.key}
        self.assertIn("stopped in the dashboard",
                      self.server.ask("GET", "/sandboxes/" + ident, headers=with_key)[2]["message"])


if __name__ == "__main__":
    unittest.main()
