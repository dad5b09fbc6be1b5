"""The page in a browser, compared with the values in Python.

With UOTA_SCREENSHOTS=FOLDER, the screenshots of the tests are kept there, as inspect-WIDTH-SCHEME-SECTION.png.
"""

import csv
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import uota
from uota.arbitration import effective_sample_size
from uota.arbitration.strengths.temperature import softmax_weights
from uota.data.memory import TensorSource
from uota.inspection.analysis.causes import FACTORS
from uota.inspection.analysis.share import Share
from uota.io.csv_files import csv_text
from uota.runs.run import Run
from uota.settings.pretrain import Pretrain

PAGE, IMAGES, VIEWS = 24, 256, 6
WINDOWS = [(width, scheme) for width in (1280, 400) for scheme in ("light", "dark")]
CLASSES = ["cat <b>", "dog"]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """An inspection with everything that a page can show: ground truth, causes, two runs."""
    found = uota.inspect("demo-scenes", inject=0.1, most=IMAGES, eyes="thumbnails", steps=50)
    runs = []
    for number in range(2):
        folder = tmp_path_factory.mktemp(f"run{number}")
        settings = Pretrain.from_flat(arbiter=("none", "learned")[number], steps=9)
        (folder / "settings.json").write_text(json.dumps(settings.as_dict()))
        (folder / "logs/version_0").mkdir(parents=True)
        lines = [f"{epoch},{5 - epoch * 0.1 - number},{epoch}" for epoch in range(9)]
        (folder / "logs/version_0/metrics.csv").write_text("\n".join(["epoch,loss,step", *lines]))
        (folder / "knn.json").write_text(json.dumps({"top1": 40.0 + number}))
        runs.append(Run(folder))
    return uota.inspection.Inspection(found.subject, found.arbiters, found.table, runs)


@pytest.fixture(scope="module")
def page(found, tmp_path_factory):
    return found.save(tmp_path_factory.mktemp("page") / "inspect.html")


@pytest.fixture
def opened(window, page):
    window.open(page)
    return window


@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_every_section_is_drawn_without_errors_or_horizontal_scrolling(window, page, tmp_path, width, scheme):
    window.open(page, width, scheme=scheme)
    folder = Path(os.environ.get("UOTA_SCREENSHOTS", tmp_path))
    for section in ("source", "gallery", "causes", "map", "calibration", "runs"):
        window(
            "document.getElementById(arguments[0]).scrollIntoView(); await new Promise(requestAnimationFrame)", section
        )
        assert window.driver.save_screenshot(str(folder / f"inspect-{width}-{scheme}-{section}.png"))
    assert window("return document.documentElement.scrollWidth") == width
    assert window.log() == []
    assert window.all("section:not([hidden]) > h2", "e.textContent") == [
        "Gallery", "Picture quality", "What makes an outlier", "Embedding map", "Calibration", "The runs"]  # fmt: skip
    sizes = window.all("main *", "parseFloat(getComputedStyle(e).fontSize)")
    assert min(sizes) >= 12
    ground, ink = window(
        "const s = getComputedStyle(document.body);"
        "return [s.backgroundColor, s.color].map((colour) => parseInt(colour.slice(4)))"
    )
    assert (ground > ink) == (scheme == "light")


def weights_shown(window):
    """Return the indices and the weights of the views on the page."""
    rows = np.array(window.all(".row .view", "[Number(e.dataset.index), Number(e.dataset.weight)]"))
    assert len(rows) == PAGE * VIEWS
    return rows[:, 0].astype(int), rows[:, 1]


def choose(window, name, value):
    """Choose a value of a field of the list, by its identifier."""
    window(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "for (const type of ['input', 'change']) e.dispatchEvent(new Event(type))",
        name,
        value,
    )


def names_shown(window):
    return window.all(".row, .single", "e.getAttribute('aria-label')")


@pytest.mark.parametrize("tau", [3.0, 640.0, 1728.0, 10000.0])
def test_the_temperature_changes_weights_order_and_sample_size_as_in_python(opened, found, tau):
    opened(
        "const e = document.getElementById('tau-typed'); e.value = arguments[0]; e.dispatchEvent(new Event('change'))",
        tau,
    )
    weights = softmax_weights(-found.table.verdicts["mahalanobis"].distances.double(), tau)
    expected = weights.T.flatten().numpy()
    indices, shown = weights_shown(opened)
    np.testing.assert_allclose(shown, expected[indices], rtol=1e-4, atol=1e-4)
    worst = np.where(found.table.shows_nothing.T, np.inf, expected.reshape(-1, VIEWS)).min(1)
    assert sorted(set(indices // VIEWS)) == sorted(np.argsort(worst)[:PAGE])
    ess = effective_sample_size(weights)
    assert float(opened("return document.getElementById('ess').dataset.value")) == pytest.approx(ess, abs=1e-4)
    bars = opened.all("#histogram rect", "Number(e.dataset.count)")
    np.testing.assert_array_equal(bars, np.histogram(np.minimum(expected, 2.9999), 30, (0, 3))[0])
    assert opened("return document.querySelector('input[name=arbiter]:checked').value") == "mahalanobis"
    for row in opened.all(".views", "[...e.querySelectorAll('.view:not(.nothing)')].map((v) => +v.dataset.weight)"):
        assert row == sorted(row, reverse=True)


def test_the_slider_moves_by_keys_and_shows_its_temperature(opened, found):
    from selenium.webdriver.common.keys import Keys

    opened.driver.find_element("id", "tau").send_keys(Keys.ARROW_LEFT)
    tau = float(opened("return document.getElementById('tau-typed').value"))
    assert 160 < tau < 172.8
    expected = softmax_weights(-found.table.verdicts["mahalanobis"].distances, tau).T.flatten()
    indices, shown = weights_shown(opened)
    np.testing.assert_allclose(shown, expected[indices], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("arbiter", ["chosen"])
def test_automatic_weights_are_those_of_the_arbiter(opened, found, arbiter):
    opened.driver.find_element("css selector", f"input[value={arbiter}]").click()
    verdict = found.table.verdicts[arbiter]
    indices, shown = weights_shown(opened)
    np.testing.assert_allclose(shown, verdict.weights.T.flatten()[indices], atol=1e-4)
    said = opened.all(".view", "[Number(e.dataset.index), e.querySelector('.number').textContent]")
    probability = verdict.outlier_probability.T.flatten()
    nothing = found.table.shows_nothing.T.flatten()
    for index, text in said:
        assert text == ("one colour" if nothing[index] else f"{100 * probability[index]:.0f}\u00a0%")


def test_all_images_are_listed_by_their_worst_view_in_pages(opened, found):
    from selenium.webdriver.common.keys import Keys

    listed = [names_shown(opened)]
    for _ in range(10):
        opened("document.querySelector('#pager-above [aria-label=\"Next page\"]').click()")
        listed.append(names_shown(opened))
    assert [len(names) for names in listed] == [PAGE] * 10 + [IMAGES - 10 * PAGE]
    ranking = [found.table.name_of(int(item)) for item in found.table.item[found.ranking]]
    assert [name for names in listed for name in names] == ranking
    current = opened.driver.find_element("css selector", "#pager-above [aria-current]")
    current.send_keys(Keys.HOME)
    assert names_shown(opened) == listed[0]
    opened.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert names_shown(opened) == listed[1]


def test_images_are_searched_filtered_by_class_and_sorted_by_name(opened, found):
    classes, table = found.subject.source.classes, found.table
    labels = [classes[label] for label in found.subject.source.labels[table.item]]
    names = [table.name_of(int(item)) for item in table.item]
    choose(opened, "filter", labels[0])
    assert set(opened.all(".row b", "e.textContent")) == {labels[0]}
    assert opened("return document.getElementById('count').textContent").startswith(
        f"{labels.count(labels[0])} of {IMAGES} images"
    )
    choose(opened, "filter", "")
    choose(opened, "search", "12")
    choose(opened, "sort", "name")
    assert names_shown(opened) == sorted((name for name in names if "12" in name), key=int)[:PAGE]
    choose(opened, "search", "no such name")
    assert names_shown(opened) == []


def test_the_size_of_views_filters_the_views_and_orders_by_them(opened, found):
    choose(opened, "kind", "global")
    weights = found.table.verdict.weights[:2].min(0).values
    rows = opened.all(".views", "[...e.children].map((v) => [Number(v.dataset.index), Number(v.dataset.weight)])")
    assert all(len(row) == 2 and {index % VIEWS for index, _ in row} == {0, 1} for row in rows)
    worst = [min(weight for _, weight in row) for row in rows]
    np.testing.assert_allclose(worst, weights.sort().values[:PAGE], atol=1e-4)


def test_single_views_are_the_flagged_ones_beside_their_image(opened, found):
    choose(opened, "mode", "views")
    flagged, probability = found.table.flagged.T.flatten(), found.table.outlier_probability.T.flatten()
    indices = [int(index) for index in opened.all(".single", "e.dataset.index")]
    assert len(indices) == min(PAGE, int(flagged.sum()))
    expected = probability[flagged].sort(descending=True).values[: len(indices)]
    np.testing.assert_allclose(probability[indices], expected, atol=1e-6)
    assert opened("return document.getElementById('count').textContent").startswith(f"{int(flagged.sum())} of ")
    box = found.table.parameters.box.transpose(0, 1).flatten(0, 1)[indices[0]]
    left = opened("return parseFloat(document.querySelector('.single .crop i').style.left)")
    assert left == pytest.approx(100 * float(box[1]) / 56, abs=1e-3)
    opened.driver.find_element("css selector", ".single .button").click()
    assert opened("return Number(document.getElementById('detail').dataset.index)") == indices[0]


def test_selected_views_are_saved_as_csv_with_the_values_of_the_table(opened, found):
    frame = found.to_frame()
    opened("document.querySelector('.row .select').click()")
    opened("document.querySelectorAll('.row .select')[2].click()")
    assert "12 views of" in opened("return document.getElementById('selected').textContent")
    text = opened("return csvText(viewRows([...selected].sort(inOrder)))")
    rows = list(csv.DictReader(text.splitlines()))
    assert {row["image"] for row in rows} == {names_shown(opened)[0], names_shown(opened)[2]}
    by_view = frame.set_index(["image", "view"])
    for row in rows:
        expected = by_view.loc[row["image"], int(row["view"])]
        for name, value in row.items():
            if name in ("image", "view"):
                continue
            exact = name in ("shows", "class", "kind", "wrong", "shows_nothing")
            assert (
                value == str(expected[name])
                if exact
                else float(value) == pytest.approx(expected[name], rel=1e-5, abs=1e-7)
            )
    assert {"outlier_probability_chosen", "score_chosen", "crop_width"} <= set(rows[0])
    opened("document.getElementById('select-none').click()")
    assert opened("return document.getElementById('csv-selected').disabled")
    choose(opened, "only", "flagged")
    rows = list(csv.DictReader(opened("return csvText(viewRows(foundViews()))").splitlines()))
    assert len(rows) == int(found.table.flagged.sum())


@pytest.mark.parametrize("value", ["=1+1", "@x", "-a,b", "+", "＝1", 'a"b', "plain", -1.5, True, None])
def test_cells_of_csv_files_are_escaped_as_in_python(opened, value):
    cells = [[value, "second"]]
    assert opened("return csvText(arguments[0])", cells) == csv_text(cells)


def test_a_view_opens_with_its_crop_box_and_augmentations(opened, found):
    from selenium.webdriver.common.keys import Keys

    button = opened.driver.find_element("css selector", ".row .view")
    index = int(button.get_attribute("data-index"))
    button.click()
    row = found.to_frame().iloc[index]
    box = opened(
        "const s = document.querySelector('.crop i').style; return [s.left, s.top, s.width, s.height].map(parseFloat)"
    )
    expected = [row.crop_left, row.crop_top, row.crop_width, row.crop_height] / np.float64(56) * 100
    np.testing.assert_allclose(box, expected, atol=1e-3)
    facts = opened("return document.querySelector('.facts').textContent")
    (share,) = re.findall(r"([\d.]+)\u00a0% of the image", facts)
    assert float(share) == pytest.approx(100 * row.area, abs=0.051)  # halves are rounded up there, to even here
    assert ("Mirrored" in facts) == row.flip
    assert f"brightness × {row.brightness:.2f}" in facts
    dialog = opened.driver.find_element("id", "detail")
    dialog.send_keys(Keys.ARROW_RIGHT)
    second = opened("return [...document.querySelectorAll('.row .view')].map((e) => e.dataset.index)[1]")
    assert dialog.get_attribute("data-index") == second
    dialog.send_keys(Keys.ESCAPE)
    assert not opened("return document.getElementById('detail').open")


def test_tab_goes_from_row_to_row_and_arrows_along_one(opened):
    from selenium.webdriver.common.keys import Keys

    stops = opened.all(".views", "[...e.children].filter((v) => v.tabIndex === 0).length")
    assert stops == [1] * PAGE
    first = opened.driver.find_element("css selector", ".row .view")
    first.send_keys(Keys.ARROW_RIGHT)
    assert opened("return document.activeElement === document.querySelectorAll('.row .view')[1]")


def test_every_picture_has_alternative_text(opened):
    opened("document.querySelector('.row .view').click()")
    assert all(opened.all("img", "e.alt.trim().length > 3"))
    assert all(opened.all("svg:not([aria-hidden])", "(e.getAttribute('aria-label') ?? '').length > 3"))
    assert all(opened.all("input, select", "e.labels.length > 0 || e.ariaLabel"))


def test_causes_and_advice_are_as_found(opened, found):
    assert len(opened.all("#factors figure", "1")) == len(found.causes.ranking)
    shown = opened.all("#ranking text.strong", "e.textContent")
    assert shown == [FACTORS[cause.key].name for cause in found.causes.ranking]
    assert opened.all("#advice li", "e.textContent.replaceAll('\\u00a0', ' ')") == found.advice.sentences
    assert opened.all("#yaml", "e.textContent") == ([found.advice.yaml] if found.advice.yaml else [])


def test_binary_parameters_have_a_mean_for_no_and_one_for_yes(opened, found):
    ticks = opened.all("#factors figure", "[...e.querySelectorAll('text')].map((t) => t.textContent)")
    binary = [FACTORS[cause.key].binary for cause in found.causes.ranking]
    assert any(binary)
    assert [{"no", "yes"} <= set(texts) for texts in ticks] == binary


def test_the_map_shows_the_picture_under_the_pointer_and_goes_by_keys(opened, found):
    from selenium.webdriver.common.keys import Keys

    points = opened.all("#map-body circle", "[Number(e.getAttribute('cx')), Number(e.getAttribute('cy'))]")
    assert len(points) == len(found.mapped) * VIEWS
    plane = found.planes[0].views.transpose(0, 1).flatten(0, 1)
    assert abs(np.corrcoef([x for x, _ in points], plane[:, 0])[0, 1]) > 0.9999
    canvas = opened.driver.find_element("css selector", "#map-body svg")
    opened("arguments[0].focus()", canvas)
    canvas.send_keys(Keys.ARROW_RIGHT)
    tip = opened("return document.querySelector('.tip').textContent")
    assert f"weight {found.table.verdict.weights.min():.2f}" in tip
    assert opened("return document.querySelector('.tip img').src").startswith("data:image/webp")


def test_calibration_and_runs_are_as_found(opened, found):
    rows = opened.all("#calibration tbody tr", "[e.dataset.arbiter, ...[...e.cells].map((c) => c.textContent)]")
    for name, _, auroc, estimated, true in rows:
        calibration = found.calibrations[name]
        assert float(auroc) == pytest.approx(calibration.auroc, abs=5e-4)
        assert estimated == ("–" if calibration.estimated is None else f"{100 * calibration.estimated:.1f}\u00a0%")
        assert float(true[:-2]) == pytest.approx(100 * float(found.table.wrong.float().mean()), abs=0.06)
    assert len(opened.all("#runs figure", "1")) == 1
    assert len(opened.all("#runs figure path", "1")) == 2
    assert opened.all("#runs tbody td:last-child", "e.textContent") == ["40.0", "41.0 (+1.0)"]


def test_names_are_escaped_and_large_pages_stay_small(window, tmp_path, monkeypatch):
    monkeypatch.setattr("uota.inspection.page.html.ROOM", 500_000)
    pixels = torch.randint(0, 256, (210, 3, 64, 64), dtype=torch.uint8)
    source = TensorSource("</script><b>", pixels, torch.arange(210) % 2, CLASSES)
    found = uota.inspect(source, eyes="thumbnails", steps=0, most=200)
    page = found.save(tmp_path / "large.html")
    assert page.stat().st_size < 900_000
    assert "://" not in page.read_text().replace("http://www.w3.org/2000/svg", "")
    window.open(page)
    assert window.log() == []
    assert window("return document.getElementById('source').textContent") == "</script><b>"
    assert set(window.all(".row .face b", "e.textContent")) == set(CLASSES)
    lead = window("return document.getElementById('lead').textContent")
    assert "200 of the 210 images, drawn at random" in lead
    pictures = int(re.search(r"Pictures of (\d+) of them", lead)[1])
    assert 0 < pictures < 200
    assert [len(e) > 0 for e in window.all(".row", "[...e.querySelectorAll('img')]")] == [
        place < pictures for place in range(PAGE)
    ]
    choose(window, "search", found.table.name_of(int(found.table.item[found.ranking[-1]])))
    plain = window.driver.find_element("css selector", ".row.plain .view")
    assert "weight" in plain.get_attribute("aria-label")
    plain.click()
    assert "did not fit" in window("return document.getElementById('detail').textContent")


def test_without_outliers_the_most_unusual_views_are_shown_with_scores(window, tmp_path, found):
    """A table whose estimated share is 0, and some of whose views show nothing."""
    table, nothing = found.table, found.table.shows_nothing.clone()
    nothing[3, :5] = True
    verdict = replace(table.verdict, outlier_rate=0.0)
    verdicts = table.verdicts | {table.primary: verdict}
    none = replace(table, verdicts=verdicts, shows_nothing=nothing, share=Share(0.0, 0.0, 0.01))
    made = uota.inspection.Inspection(found.subject, found.arbiters, none)
    window.open(made.save(tmp_path / "none.html"), 400)
    assert window.log() == []
    assert window("return document.documentElement.scrollWidth") == 400
    assert "No outliers found" in window("return document.getElementById('figures').textContent")
    assert ["views show nothing but one colour", str(int(nothing.sum()))] in window.all(
        "#figures div", "[e.querySelector('dt').textContent, e.querySelector('dd').textContent]"
    )
    assert window("return document.getElementById('gallery-title').textContent").startswith("No outliers found")
    last = "document.querySelector('.row .view:last-child')"
    index = window(f"return Number({last}.dataset.index)")
    said = window(f"return {last}.querySelector('.number').textContent")
    scores = none.verdict.scores.masked_fill(nothing, torch.inf).T.flatten()
    assert float(said) == pytest.approx(float(scores[index]), abs=0.006)
    assert scores[index] == scores.min()
    assert "outlier probability" not in window("return document.getElementById('gallery').textContent").lower()
    choose(window, "only", "nothing")
    assert len(names_shown(window)) == min(PAGE, int(nothing.any(0).sum()))
    assert all("one colour" in text for text in window.all(".row .views", "e.lastElementChild.textContent"))


def test_advice_is_given_once_where_no_parameter_is_named_as_a_cause(window, tmp_path, found, monkeypatch):
    monkeypatch.setitem(found.__dict__, "causes", replace(found.causes, explained=None))
    window.open(found.save(tmp_path / "none.html"))
    assert window("return document.getElementById('causes-lead').hidden")
    assert len(window.all("#advice li", "e.textContent")) == len(found.advice.sentences)


def test_the_share_is_shown_with_its_interval(window, tmp_path, found, monkeypatch):
    monkeypatch.setattr(uota.inspection.Inspection, "interval", (0.022, 0.04))
    window.open(found.save(tmp_path / "interval.html"))
    share = f"outliers (95\u00a0% interval 2.2 to 4.0\u00a0%){100 * found.outlier_rate:.1f}\u00a0%"
    assert share in window("return document.getElementById('figures').textContent")
