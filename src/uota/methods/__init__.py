"""Self-supervised methods, each in one file with its whole algorithm."""

from uota.methods import barlow_twins, baselines, byol, cmc, cpc, infomin, jcl, moco, simclr, simsiam, swav
from uota.methods.barlow_twins import BarlowTwins
from uota.methods.baselines import Supervised, Untrained
from uota.methods.byol import BYOL
from uota.methods.card import BeforeUpdate, Card, Method
from uota.methods.cmc import CMC
from uota.methods.cpc import CPC
from uota.methods.embedded import Embedded, Step, embed
from uota.methods.infomin import InfoMin
from uota.methods.jcl import JCL
from uota.methods.moco import MoCo
from uota.methods.own import allow, allowing, check_built, own_method
from uota.methods.simclr import SimCLR
from uota.methods.simsiam import SimSiam
from uota.methods.swav import SwAV

METHODS: dict[str, Card] = {
    "swav": swav.CARD,
    "simclr": simclr.CARD,
    "cpc_v2": cpc.CARD,
    "cmc": cmc.CARD,
    "moco_v1": moco.V1,
    "moco_v2": moco.V2,
    "jcl": jcl.CARD,
    "infomin": infomin.CARD,
    "simsiam": simsiam.CARD,
    "byol": byol.CARD,
    "barlow_twins": barlow_twins.CARD,
    "supervised": baselines.SUPERVISED,
    "random": baselines.RANDOM,
}

__all__ = [
    "BYOL",
    "CMC",
    "CPC",
    "JCL",
    "METHODS",
    "BarlowTwins",
    "BeforeUpdate",
    "Card",
    "Embedded",
    "InfoMin",
    "Method",
    "MoCo",
    "SimCLR",
    "SimSiam",
    "Step",
    "Supervised",
    "SwAV",
    "Untrained",
    "allow",
    "allowing",
    "check_built",
    "embed",
    "own_method",
]
