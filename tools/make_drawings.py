"""Make the pictures of `demo-drawings`, things that three studios drew, from the packages that publish them:

    npm pack emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0 @lobehub/fluent-emoji-3d@1.1.0
    python -m tools.make_drawings FOLDER_OF_THE_TGZ_FILES

Keeps the things of five of Unicode's categories that all three studios drew, without those in LEFT_OUT. Each drawing is
composited on white at 64 × 64 pixels; those of a studio become one sheet in lossless WebP, in Unicode's order. The
index drawings.json names the studios and the things. The archives are read as data; nothing in them is run. The same
archives give the same bytes with the same release of Pillow, and the same pixels with any.
"""

import argparse
import io
import json
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uota.data.demo.drawings import COLUMNS, INDEX, SIDE
from uota.data.demo.embedded import FOLDER, to_sheet
from uota.errors import UotaError
from uota.io.atomic import atomic_write, write_text_atomically


class Studio(NamedTuple):
    """A studio, the sheet of its drawings, and where they are: archive, and member by code points."""

    name: str
    sheet: str
    archive: str
    member: str


STUDIOS = (
    Studio("Noto", "noto.webp", "emoji-datasource-google-*.tgz", "package/img/google/64/{}.png"),
    Studio("Twemoji", "twemoji.webp", "emoji-datasource-twitter-*.tgz", "package/img/twitter/64/{}.png"),
    Studio("Fluent", "fluent.webp", "lobehub-fluent-emoji-3d-*.tgz", "package/assets/{}.webp"),
)
UNICODE = "package/emoji.json"  # in the archive of the first studio
CATEGORIES = ("Animals & Nature", "Food & Drink", "Travel & Places", "Activities", "Objects")
# Short names of things that are left out after looking at all drawings: near-duplicates of another thing, symbols and
# faces, and things that the studios draw in visibly different ways. Clock faces and phases of the moon are out too.
LEFT_OUT = """
guide_dog service_dog black_cat dromedary_camel whale2 rat hatched_chick shamrock empty_nest white_flower black_bird
water_buffalo pig_nose ox gorilla rhinoceros eagle leaves

green_apple beers knife_fork_plate takeout_box pouring_liquid bagel

earth_africa earth_asia japan mountain mount_fuji house_buildings house_with_garden love_hotel post_office
european_post_office department_store classical_building wedding bricks foggy city_sunset city_sunrise sunrise
hotsprings camping umbrella_on_ground bullettrain_front station light_rail train2 mountain_railway oncoming_bus
oncoming_police_car oncoming_taxi oncoming_automobile trolleybus articulated_lorry passenger_ship motor_boat
airplane_arriving mountain_cableway hourglass_flowing_sand traffic_light octagonal_sign busstop wheel star2
mostly_sunny barely_sunny partly_sunny_rain thunder_cloud_and_rain sun_with_face fog wind_blowing_face
umbrella_with_rain_drops zap snowman_without_snow cyclone statue_of_liberty globe_with_meridians suspension_railway
airplane_departure ferry office night_with_stars minibus national_park tram kaaba

spades hearts diamonds clubs sparkles sparkler second_place_medal third_place_medal sports_medal ticket softball
tennis wind_chime rice_scene dolls

womans_clothes mute speaker sound loud_sound no_bell musical_note notes musical_score calling low_battery dvd
camera_with_flash mag_right green_book blue_book orange_book notebook_with_decorative_cover page_with_curl
bookmark_tabs bookmark yen euro pound chart e-mail incoming_envelope envelope_with_arrow outbox_tray inbox_tray
mailbox_closed mailbox_with_mail mailbox_with_no_mail open_file_folder date spiral_calendar_pad
chart_with_downwards_trend linked_paperclips paperclip unlock lock_with_ink_pen closed_lock_with_key hammer_and_pick
hammer_and_wrench link drop_of_blood x-ray elevator lower_left_ballpoint_pen pouch ledger money_with_wings
video_camera trackball level_slider control_knobs telephone_receiver minidisc sandal womans_flat_shoe black_nib
probing_cane card_index receipt rolled_up_newspaper pager placard film_frames hamsa nazar_amulet
"""
# Unicode's names that do not say what is drawn.
RENAMED = {
    "red apple": "apple",
    "ear of maize": "maize",
    "hocho": "kitchen knife",
    "bug": "caterpillar",
    "cooking": "fried egg",
    "shallow pan of food": "paella",
    "bottle with popping cork": "champagne",
    "fish cake with swirl design": "fish cake",
    "earth globe americas": "globe",
    "house building": "house",
    "building construction": "construction site",
    "police cars revolving light": "revolving light",
    "black sun with rays": "sun",
    "white medium star": "star",
    "basketball and hoop": "basketball",
    "flag in hole": "golf hole",
    "video game": "game controller",
    "playing card black joker": "joker",
    "mahjong tile red dragon": "mahjong tile",
    "mans shoe": "shoe",
    "womans boots": "boot",
    "womans hat": "sun hat",
    "rescue worker’s helmet": "rescue helmet",
    "public address loudspeaker": "loudspeaker",
    "cheering megaphone": "megaphone",
    "black telephone": "telephone",
    "left-pointing magnifying glass": "magnifying glass",
    "banknote with dollar sign": "banknotes",
    "closed mailbox with raised flag": "mailbox",
    "chart with upwards trend": "line chart",
    "black scissors": "scissors",
    "smoking symbol": "cigarette",
}


def read_archive(folder: Path, studio: Studio) -> dict[str, bytes]:
    """Read the drawings and Unicode's list from the only archive of a studio in a folder.

    Raises:
        UotaError: there is none, or several, or it is damaged.
    """
    found = sorted(folder.glob(studio.archive))
    if len(found) != 1:
        raise UotaError(f"{folder} has {len(found)} files {studio.archive}, one is needed; download it as --help says")
    drawings = studio.member.partition("{")[0]
    try:
        with tarfile.open(found[0]) as archive:
            entries = (entry for entry in archive if entry.isfile() and entry.name.startswith((drawings, UNICODE)))
            return {entry.name: archive.extractfile(entry).read() for entry in entries}  # type: ignore[union-attr]
    except (OSError, EOFError, tarfile.TarError) as error:
        raise UotaError(f"{found[0]} is not a whole .tgz archive ({error}); download it again") from error


def is_wanted(thing: dict[str, Any]) -> bool:
    """True for a thing of the chosen categories that is not left out."""
    name, sky = thing["name"].lower(), thing["subcategory"] == "sky & weather"
    one_of_many = name.startswith("clock face") or (sky and "moon" in name and name != "crescent moon")
    return thing["category"] in CATEGORIES and thing["short_name"] not in LEFT_OUT.split() and not one_of_many


def choose(archives: Sequence[dict[str, bytes]]) -> list[dict[str, str]]:
    """Return name, category and code points of the wanted things that all studios drew, in Unicode's order.

    Raises:
        UotaError: there are none.
    """
    listed = sorted(json.loads(archives[0][UNICODE]), key=lambda thing: thing["sort_order"])
    chosen = []
    for thing in filter(is_wanted, listed):
        name, points = thing["name"].lower(), thing["unified"].lower()
        if all(studio.member.format(points) in files for studio, files in zip(STUDIOS, archives, strict=True)):
            category = thing["category"].lower()
            chosen.append({"name": RENAMED.get(name, name), "category": category, "code_points": points})
        else:
            print(f"left out, since not all studios drew it: {name}")
    if not chosen:
        raise UotaError("there is no wanted thing that all studios drew; download the archives as --help says")
    return chosen


def on_white(drawing: bytes) -> NDArray[np.uint8]:
    """Decode a drawing, composite it on white and resize it; (SIDE, SIDE, 3)."""
    with Image.open(io.BytesIO(drawing)) as opened:
        image = opened.convert("RGBA")
    page = Image.new("RGBA", image.size, "white")
    page.alpha_composite(image)
    return np.asarray(page.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def write_sheet(images: Sequence[NDArray[np.uint8]], path: Path) -> None:
    """Write images side by side in lossless WebP, the last row filled up with white."""
    blanks = [np.full_like(images[0], 255)] * (-len(images) % COLUMNS)
    with atomic_write(path) as unfinished:
        Image.fromarray(to_sheet(np.stack([*images, *blanks]), COLUMNS)).save(unfinished, "WEBP", lossless=True)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sheets and the index."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", type=Path, metavar="FOLDER", help="folder of the .tgz files")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the files are written (default: %(default)s)")
    asked = parser.parse_args(arguments)
    archives = [read_archive(asked.archives, studio) for studio in STUDIOS]
    things = choose(archives)
    for studio, files in zip(STUDIOS, archives, strict=True):
        images = [on_white(files[studio.member.format(thing["code_points"])]) for thing in things]
        write_sheet(images, asked.out / studio.sheet)
    index = {"studios": [{"name": studio.name, "sheet": studio.sheet} for studio in STUDIOS], "things": things}
    write_text_atomically(asked.out / INDEX, json.dumps(index, indent=0) + "\n")
    for category, count in Counter(thing["category"] for thing in things).items():
        print(f"{category}: {count}")


if __name__ == "__main__":
    main()
