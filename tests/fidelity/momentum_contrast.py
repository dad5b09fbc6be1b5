"""Reference implementation of what the released MoCo, JCL and InfoMin share: networks, their updates, a queue."""

import math
from copy import deepcopy

import torch
from torch.nn.functional import normalize

from uota.encoders.encoder import Encoder
from uota.recipes import recipe

DIM, HIDDEN, QUEUE, EPOCHS = 8, 16, 40, 10  # the queue holds 5 batches of 8, so that it is replaced six times


def small_method(cls, name, **changes):
    """Build a method with the options of a recipe and tiny networks."""
    options = recipe(name).method.options | {"dim": DIM, "queue_length": QUEUE, "ghost_batches": 2} | changes
    if options["hidden"]:
        options["hidden"] = HIDDEN
    torch.manual_seed(0)
    return cls(Encoder("tiny", 3, 12), **options).double()


def cosine(epoch):
    return 0.03 * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2


class Released:
    """The networks of a method before training, trained without Lightning or torch.optim.

    Keys are computed in two halves with separate batch statistics, as on two devices after a shuffle.
    """

    def __init__(self, method):
        parts = {"encoder": method.encoder, "projector": method.projector}
        if hasattr(method, "jigsaw_head"):
            parts["jigsaw_head"] = method.jigsaw_head
        self.query = torch.nn.ModuleDict(deepcopy(parts))
        self.key = deepcopy(torch.nn.ModuleDict({name: parts[name] for name in ("encoder", "projector")}))
        self.queue = method.queue.rows.clone()
        self.pointer = 0
        self.momenta = {}

    def queries(self, views):
        return normalize(self.query["projector"](self.query["encoder"](views)), dim=1)

    @torch.no_grad()
    def keys(self, views):
        """Return the keys of images, of which every other one is in the same half."""
        made = views.new_empty(len(views), DIM)
        for half in (0, 1):
            rows = self.key["projector"](self.key["encoder"](views[half::2]))
            made[half::2] = normalize(rows, dim=1)
        return made

    @torch.no_grad()
    def move_key(self):
        for name in ("encoder", "projector"):
            pairs = zip(self.key[name].parameters(), self.query[name].parameters(), strict=True)
            for slow, fast in pairs:
                slow.copy_(0.999 * slow + 0.001 * fast)

    def enqueue(self, rows):
        self.queue[self.pointer : self.pointer + len(rows)] = rows
        self.pointer = (self.pointer + len(rows)) % QUEUE

    def logits(self, query, positive, temperature):
        return torch.cat([positive[:, None], query @ self.queue.clone().T], 1) / temperature

    def update(self, loss, rate):
        """Take a step of SGD with momentum 0.9 and weight decay 1e-4 on all parameters, including biases and norms."""
        parameters = list(self.query.parameters())
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for place, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
                decayed = gradient + 1e-4 * parameter
                momentum = self.momenta.get(place)
                self.momenta[place] = decayed if momentum is None else 0.9 * momentum + decayed
                parameter -= rate * self.momenta[place]

    def state(self):
        """Return the state under the names of our method."""
        query, key = self.query.state_dict(), self.key.state_dict()
        state = query | {f"key.{name}": value for name, value in key.items()} | {"queue.rows": self.queue}
        return {name: value for name, value in state.items() if value.is_floating_point()}


def first_is_right(logits):
    return torch.nn.functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
