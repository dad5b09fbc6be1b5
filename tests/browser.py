"""Debian's Chromium, driven by selenium; tests that need them are skipped if they are not installed."""

import shutil

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")


class Window:
    """A browser window."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, page, width=1280, height=900, scheme="light"):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.get(page.as_uri())

    def __call__(self, script, *arguments):
        """Run a script and return its result."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector, what):
        """Evaluate an expression of `e` for each element that the selector matches."""
        return self(f"return [...document.querySelectorAll(arguments[0])].map((e) => {what})", selector)

    def log(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="session")
def window():
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="the page is tested with selenium: pip install selenium"
    )
    if not CHROMIUM or not DRIVER:
        pytest.skip("the page is tested in Chromium: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield Window(driver)
    driver.quit()
