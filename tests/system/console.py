"""The timeline console as someone at a browser meets it, and as a strict browser does."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from ops.people import Person

from .waiting import SECONDS

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Locator, Page, Request

VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
  violations.push(`${violatedDirective} ${blockedURI}`));
"""

FLAWS = """() => {
  const flaws = [];
  const shown = (node) => node.checkVisibility() && !node.closest("[aria-hidden=true]");
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
  const texts = (ids) => ids.split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
  const name = (node) => (node.getAttribute("aria-label") || texts(node.getAttribute("aria-labelledby") ?? "")
    || [...(node.labels ?? [])].map((label) => label.textContent).join(" ") || node.textContent).trim();
  for (const node of all("a, button, input, select, textarea, dialog, nav, [role=group], [tabindex]"))
    if (!name(node) && !node.matches("h1, h2")) flaws.push(`no name: ${node.outerHTML.slice(0, 120)}`);
  for (const node of all("img")) if (!node.hasAttribute("alt")) flaws.push(`no alt: ${node.outerHTML}`);
  for (const node of all("[tabindex]")) if (node.tabIndex > 0) flaws.push(`jumps the queue: ${node.outerHTML}`);
  const levels = all("h1, h2, h3, h4").filter((node) => !node.closest("dialog")).map((node) => Number(node.tagName[1]));
  if (levels[0] !== 1 || levels.filter((level) => level === 1).length !== 1) flaws.push(`not one h1 first: ${levels}`);
  levels.forEach((level, index) => index && level > levels[index - 1] + 1 && flaws.push(`a level left out: ${levels}`));
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  if (new Set(ids).size < ids.length) flaws.push(`an id twice: ${ids}`);
  if (!document.documentElement.lang) flaws.push("no language");
  if (!document.title) flaws.push("no title");
  if (all("main").length !== 1) flaws.push("not one main");
  const { scrollWidth } = document.documentElement;
  if (scrollWidth > innerWidth) flaws.push(`scrolls sideways: ${scrollWidth} in ${innerWidth}`);
  return flaws;
}"""
"""What would lock out someone who does not see, does not point, or has a narrow screen."""


@dataclass
class Console:
    """One tab, in which the console is opened. `complaints` is what the browser had to say against it."""

    page: "Page"
    url: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(SECONDS * 1000)
        self.page.add_init_script(VIOLATIONS)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"said {dialog.message}"), dialog.dismiss()))
        self.page.on("request", self._stay)

    def _hear(self, message: "ConsoleMessage") -> None:
        # that an answer was 400, 401 or 404 the browser tells, too: the page deals with it
        if message.type in ("error", "warning") and "the server responded with a status of 4" not in message.text:
            self.complaints.append(message.text)

    def _stay(self, request: "Request") -> None:
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.complaints.append(f"went to {request.url}")

    @property
    def flaws(self) -> list[str]:
        return list(self.page.evaluate(FLAWS)) + list(self.page.evaluate("violations"))

    def open(self, fragment: str = "#/") -> None:
        self.page.goto(self.url + fragment)

    def open_saga(self, saga_id: str) -> None:
        self.open(f"#/sagas/{quote(saga_id, safe='')}")

    def sign_in(self, person: Person, password: str | None = None) -> None:
        self.sign_in_as(person.username, person.password if password is None else password)

    def sign_in_as(self, username: str, password: str) -> None:
        self.page.get_by_label("E-mail").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def look_again(self) -> None:
        """At once, and not only when it is time: as when a network comes back."""
        self.page.evaluate("window.dispatchEvent(new Event('online'))")

    @property
    def freshness(self) -> "Locator":
        return self.page.locator(".freshness")

    @property
    def alert(self) -> "Locator":
        return self.page.get_by_role("alert")

    @property
    def orders(self) -> "Locator":
        return self.page.get_by_role("list", name="Orders").get_by_role("listitem")

    def order(self, saga_id: str) -> "Locator":
        return self.orders.filter(has=self.page.get_by_role("link", name=saga_id, exact=True))

    @property
    def verdict(self) -> "Locator":
        return self.page.locator(".verdict")

    @property
    def marks(self) -> "Locator":
        return self.page.get_by_role("group", name="Events on a time axis").get_by_role("button")

    def mark(self, name: str) -> "Locator":
        return self.marks.and_(self.page.get_by_role("button", name=name))

    @property
    def events(self) -> "Locator":
        return self.page.get_by_role("list", name="Events").get_by_role("button")

    @property
    def payload(self) -> "Locator":
        return self.page.get_by_role("complementary")

    @property
    def focused(self) -> str:
        """The name of what has the focus."""
        return str(
            self.page.evaluate(
                "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim()"
            )
        )

    def stored(self) -> Any:
        """The session, as the tab keeps it."""
        return self.page.evaluate("JSON.parse(sessionStorage.getItem(sessionStorage.key(0)))")

    def store(self, session: Any) -> None:
        self.page.evaluate("(it) => sessionStorage.setItem(sessionStorage.key(0), JSON.stringify(it))", session)
