"""The library in third-party code: every mode, cast, wrapper and kind of input works, or is refused with the remedy."""

import copy
import gc
import inspect
import io
import json
import pickle
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.distributed as dist
from jaxtyping import Float
from tests.processes import run_command
from torch import nn
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

import uota
from uota import Arbiter, ViewSampler
from uota.arbitration import Contrast, LearnedContrast, ScoreInBatches, Scores, TwoGroups, Weighing
from uota.arbitration.inputs import require_one_device
from uota.arbitration.scores.learned import new_head
from uota.arbitration.state import REMEMBERED

# A step of AdamW in torch 2.9 converts a tensor on the default device to a number.
OLD_ADAM = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 10)

KINDS = {
    "learned": lambda: Arbiter("learned"),
    "two_groups": lambda: Arbiter("two_groups"),
    "mahalanobis": lambda: Arbiter("mahalanobis", tau=20.0),
    "sampler": lambda: ViewSampler([2, 1], seed=1),
}
ARBITERS = ["learned", "two_groups", "mahalanobis"]
STATEFUL = ["learned", "two_groups", "sampler"]


def views(seed=0, shape=(4, 8, 16)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@cache
def candidates(seed=0, batch=6):
    random = torch.Generator().manual_seed(seed)
    return [torch.rand(3, batch, 3, side, side, generator=random) for side in (10, 6)]


def inputs(kind, seed=0):
    return candidates(seed) if kind == "sampler" else views(seed)


def outcome(result):
    """Return the result of a call as one tensor."""
    return result.chosen if hasattr(result, "chosen") else result.weights


def steps(module, kind, seeds=range(3)):
    return [outcome(module(inputs(kind, seed))) for seed in seeds]


@cache
def expected_steps(kind, used=False):
    """Return the results of a new module, or of one that was called once before."""
    module = KINDS[kind]()
    if used:
        module(inputs(kind, 9))
    return steps(module, kind)


def assert_same(one, other):
    assert all(torch.equal(x, y) for x, y in zip(one, other, strict=True))


def flat(state):
    """Return all tensors of a nested state dict."""
    if isinstance(state, torch.Tensor):
        return [state]
    return [x for value in state.values() for x in flat(value)] if isinstance(state, dict) else []


def call(function, *args):
    """Call a function without the shape check that the tests install on every annotated function."""
    return inspect.unwrap(function)(*args)


def message_of(function, *args):
    with pytest.raises(ValueError, match=r"\w") as raised:
        call(function, *args)
    return str(raised.value)


# Inputs -----------------------------------------------------------------------------------------------------------

X = views()
TAKE_VIEWS = {
    "arbitrate": lambda x: message_of(uota.arbitrate, x, 20.0),
    "two_groups": lambda x: message_of(Arbiter.forward, Arbiter("two_groups"), x),
    "learned": lambda x: message_of(Arbiter.forward, Arbiter("learned"), x),
}
INVALID_VIEWS = {
    "None": (lambda: None, "these are None"),
    "text": (lambda: "views", "these are a str"),
    "number": (lambda: 3.0, "these are a float"),
    "dict": (lambda: {"last_hidden_state": X}, "these are a dict"),
    "generator": (lambda: (x for x in X), "these are a generator"),
    "array": (lambda: X.numpy(), "torch.as_tensor takes arrays); these are a ndarray"),
    "list of arrays": (lambda: list(X.numpy()), "one of these is a ndarray"),
    "nested lists": (lambda: X.tolist(), "one of these is a list"),
    "empty list": (list, "these are an empty list"),
    "empty tuple": (lambda: (), "these are an empty tuple"),
    "list with None": (lambda: [X[0], None], "one of these is None"),
    "list of integers": (lambda: [X[0].long(), X[1].long()], "one of these is torch.int64 of shape (8, 16); give x.fl"),
    "list of different batches": (lambda: [X[0], X[1, :4]], "a list of shapes [(4, 16), (8, 16)]"),
    "list of different widths": (lambda: [X[0], X[1, :, :4]], "a list of shapes [(8, 4), (8, 16)]"),
    "list of all views": (lambda: [X, X], "a list of shapes [(4, 8, 16)]"),
    "list of vectors": (lambda: [X[0, 0], X[1, 0]], "a list of shapes [(16,)]"),
    "list of one": (lambda: [X[0]], "at least 2 views"),
    "list with a meta tensor": (lambda: [X[0], X[1].to("meta")], "on the meta device"),
    "integers": (lambda: X.long(), "torch.int64 of shape (4, 8, 16); give x.float()"),
    "bytes": (lambda: X.byte(), "torch.uint8"),
    "bools": (lambda: X > 0, "torch.bool"),
    "complex": (lambda: X.to(torch.complex64), "torch.complex64 of shape (4, 8, 16); give real numbers"),
    "sparse": (lambda: X.to_sparse(), "torch.sparse_coo, torch.float32 of shape (4, 8, 16); give x.to_dense()"),
    "sparse rows": (lambda: X[0].to_sparse_csr(), "torch.sparse_csr"),
    "meta": (lambda: X.to("meta"), "on the meta device, where tensors have no values"),
    "nested": (
        lambda: torch.nested.nested_tensor([X[0], X[1, :3]]),
        "a nested tensor; give every image the same number",
    ),
    "scalar": (lambda: torch.tensor(1.0), "of shape ()"),
    "vector": (lambda: X[0, 0], "of shape (16,)"),
    "one view": (lambda: X[0], "of shape (8, 16)"),
    "pictures": (lambda: X[..., None], "of shape (4, 8, 16, 1)"),
    "a single view": (lambda: X[:1], "at least 2 views of at least 1 image; the shape is (1, 8, 16)"),
    "no image": (lambda: X[:, :0], "the shape is (4, 0, 16)"),
    "no width": (lambda: X[..., :0], "the shape is (4, 8, 0)"),
    "nothing": (lambda: X[:0], "the shape is (0, 8, 16)"),
    "NaN": (lambda: X.clone().index_fill_(2, torch.tensor([3]), float("nan")), "32 of 32 views have NaN or infinite"),
    "infinities that cancel": (
        lambda: torch.cat([X[:1] + float("inf"), X[1:2] - float("inf"), X[2:]]),
        "16 of 32 views have NaN or infinite",
    ),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch warns that sparse rows and nested tensors are prototypes
@pytest.mark.parametrize("taker", TAKE_VIEWS)
@pytest.mark.parametrize("kind", INVALID_VIEWS)
def test_invalid_batches_of_views_are_named(kind, taker):
    make, expected = INVALID_VIEWS[kind]
    assert expected in TAKE_VIEWS[taker](make())


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_quantised_views_are_refused():
    assert "give x.dequantize()" in message_of(uota.arbitrate, torch.quantize_per_tensor(X, 0.1, 0, torch.qint8), 20.0)


G = candidates()
TAKE_LISTS = {
    "thumbnails": lambda x: message_of(uota.thumbnails, x),
    "sampler": lambda x: message_of(ViewSampler.forward, ViewSampler([2, 1]), x),
}
INVALID_LISTS = {
    "None": (lambda: None, "views are a NoneType; give a list with one tensor"),
    "array": (lambda: G[0].numpy(), "views are a ndarray"),
    "tensor": (lambda: G[0], "views are a Tensor"),
    "empty": (list, "an empty list"),
    "generator": (lambda: iter(G), "views are a list_iterator"),
    "arrays": (lambda: [x.numpy() for x in G], "is a ndarray; give a list"),
    "None inside": (lambda: [G[0], None], "is None; give a list"),
    "lists inside": (lambda: [G, G], "is a list; give a list"),
    "bytes": (lambda: [x.byte() for x in G], "torch.uint8 of shape (3, 6, 3, 10, 10); give x.float()"),
    "complex": (lambda: [x.to(torch.complex64) for x in G], "give real numbers"),
    "meta": (lambda: [x.to("meta") for x in G], "on the meta device"),
    "sparse": (lambda: [x.to_sparse() for x in G], "to_dense"),
    "no views axis": (lambda: [x[0] for x in G], "of shape (6, 3, 10, 10)"),
    "no views": (lambda: [G[0], G[1][:0]], "is empty, of shape (0, 6, 3, 6, 6)"),
    "no images": (lambda: [x[:, :0] for x in G], "is empty"),
    "no pixels": (lambda: [x[..., :0] for x in G], "is empty"),
    "other images": (lambda: [G[0], G[1][:, :4]], "sizes of view differ in (batch, channels): [(4, 3), (6, 3)]"),
    "other channels": (lambda: [G[0], G[1][:, :, :1]], "sizes of view differ in (batch, channels)"),
    "NaN": (lambda: [G[0] * float("nan"), G[1]], "18 of 36 views have NaN or infinite pixels"),
}


@pytest.mark.parametrize("taker", TAKE_LISTS)
@pytest.mark.parametrize("kind", INVALID_LISTS)
def test_invalid_lists_of_views_are_named(kind, taker):
    make, expected = INVALID_LISTS[kind]
    assert expected in TAKE_LISTS[taker](make())


def test_several_devices_are_refused():
    with pytest.raises(ValueError, match="views are on cpu and cuda:0; move them to one device"):
        call(require_one_device, [SimpleNamespace(device="cuda:0"), SimpleNamespace(device="cpu")], "views")


def paper(z, tau):
    """Compute the weights of the UOTA paper (equations 9 to 11) in float64 with NumPy alone."""
    z = z.detach().double().numpy()
    deviations = z - z.mean(0)
    rows = deviations.reshape(-1, z.shape[-1])
    inverse = np.linalg.inv(rows.T @ rows / len(rows) + 1e-8 * np.eye(z.shape[-1]))
    likelihood = np.exp(-np.einsum("mnd,de,mne->mn", deviations, inverse, deviations) / tau)
    return torch.from_numpy(likelihood / likelihood.mean())


def in_inference_mode(make):
    with torch.inference_mode():
        return make()


WIDE = views(3, (4, 16, 8))
UNUSUAL = {
    "list": lambda: list(WIDE),
    "tuple": lambda: tuple(WIDE),
    "list of two precisions": lambda: [WIDE[0].double(), *WIDE[1:]],
    "list asking for gradients": lambda: [x.clone().requires_grad_() for x in WIDE],
    "asking for a gradient": lambda: WIDE.clone().requires_grad_(),
    "in a graph": lambda: WIDE.clone().requires_grad_() * 1,
    "parameter": lambda: nn.Parameter(WIDE.clone()),
    "transposed": lambda: WIDE.transpose(0, 1).contiguous().transpose(0, 1),
    "strided": lambda: WIDE.repeat_interleave(2, 1)[:, ::2],
    "float64": lambda: WIDE.double(),
    "of inference mode": lambda: in_inference_mode(WIDE.clone),
    "list of inference mode": lambda: in_inference_mode(lambda: [x.clone() for x in WIDE]),
}


@pytest.mark.parametrize("name", ARBITERS)
@pytest.mark.parametrize("kind", UNUSUAL)
def test_unusual_views_get_the_weights_of_plain_ones(kind, name):
    x = UNUSUAL[kind]()
    one, other = KINDS[name](), KINDS[name]()
    for _ in range(2):
        found, expected = one(x).weights, other(WIDE).weights
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-4, atol=1e-5)
    assert not found.requires_grad
    assert not found.is_inference()
    if name == "mahalanobis":
        torch.testing.assert_close(found.double(), paper(WIDE, 20.0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_half_precisions_are_computed_in_float32(dtype):
    x = WIDE.to(dtype)
    if not isinstance(x, Float[torch.Tensor, "..."]):
        pytest.skip(f"this jaxtyping does not count {dtype} among floats")
    torch.testing.assert_close(uota.arbitrate(x, 20.0).weights.double(), paper(x.double(), 20.0), rtol=1e-4, atol=1e-5)


INVALID_SETTINGS = {
    "Arbiter(None)": "a pair (score, strength)",
    "Arbiter(3)": "this is 3",
    "Arbiter((Contrast(),))": "a pair (score, strength)",
    "Arbiter((Contrast, TwoGroups))": "such as (Contrast(), TwoGroups())",
    "Arbiter(('learned', 'two_groups'))": "a pair (score, strength)",
    "Arbiter('learned', start='half')": "a share of training",
    "Arbiter('learned', start=None)": "a share of training",
    "Arbiter('two_groups', temperature='hot')": "temperature is hot; it must be above 0",
    "Arbiter('learned', temperature=None)": "temperature is None; it must be above 0",
    "Arbiter('mahalanobis', tau='350')": "must be above 0",
    "Arbiter('mahalanobis', tau=torch.tensor(3.0))": "must be above 0",
    "Arbiter('mahalanobis', ess='most')": "a share above 0",
    "Arbiter('mahalanobis', tau=1.0, anchors=1.5)": "must be at least 1",
    "Arbiter('mahalanobis', tau=1.0, eps=None)": "must be 0 or more",
    "Arbiter('mahalanobis', tau=1.0, covariance=['oas'])": "must be one of",
    "Arbiter('learned', seed=1.5)": "must be a whole number",
    "Arbiter('learned', seed=2**70)": "below 2**63",
    "ViewSampler([1], seed='x')": "must be a whole number",
    "ViewSampler([1.0])": "at least 1",
    "ViewSampler(None)": "at least 1",
    "arbitrate(X, tau='3')": "must be above 0",
    "arbitrate(X, tau=3.0, anchors='two')": "must be at least 1",
    "Arbiter('two_groups')(X, progress='half')": "progress is 'half'; it is a share of training",
    "Arbiter('two_groups')(X, progress=float('nan'))": "progress is nan; it is a share of training",
}
TRANSFORMS = {
    "vmap": "torch.func.vmap({})(torch.stack([X, X]))",
    "grad": "torch.func.grad({})(X)",
    "jvp": "torch.func.jvp({}, (X,), (X,))",
    "jacrev": "torch.func.jacrev({})(X)",
}
TRANSFORMED = {
    "learned": "lambda x: Arbiter('learned')(x).weights.sum()",
    "mahalanobis": "lambda x: Arbiter('mahalanobis', tau=20.0)(x).weights.sum()",
    "arbitrate": "lambda x: arbitrate(x, 20.0).weights.sum()",
    "thumbnails": "lambda x: thumbnails([x])",
}
COMPILED = {
    "learned": "Arbiter('learned'), X",
    "two groups": "Arbiter('two_groups'), X",
    "paper": "Arbiter('mahalanobis', tau=20.0), X",
    "list": "Arbiter('learned'), list(X)",
    "sampler": "ViewSampler([2, 1]), [torch.rand(3, 6, 3, 8, 8), torch.rand(2, 6, 3, 6, 6)]",
}
TRACED = {
    "export": "torch.export.export(Model(), (X,), strict=False)",
    "strict export": "torch.export.export(Model(), (X,), strict=True)",
    "trace": "torch.jit.trace(Model().eval(), (X,))",
    "fake": "faked()",
}
SCRIPT = """
import copy, json, sys, warnings
import uota
light = not {"pytorch_lightning", "timm", "torchvision", "lightly", "sklearn", "PIL"} & sys.modules.keys()
import torch
from uota import Arbiter, ViewSampler, arbitrate, thumbnails
from uota.arbitration import Contrast, TwoGroups
warnings.simplefilter("ignore")
torch.set_num_threads(1)
X = torch.randn(4, 8, 16)

def message(code):
    try:
        return repr(eval(code))
    except ValueError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def alike(module, x):
    plain, outcome = copy.deepcopy(module), lambda y: y.chosen if hasattr(y, "chosen") else y.weights
    compiled = torch.compile(lambda x: module(x), backend="eager")
    return all(torch.equal(outcome(compiled(x)), outcome(plain(x))) for _ in range(3))

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.arbiter = torch.nn.Linear(16, 16), Arbiter("learned")

    def forward(self, x):
        return self.arbiter(self.encoder(x)).weights

def faked():
    with torch._subclasses.FakeTensorMode():
        return arbitrate(torch.randn(3, 4, 5), 3.0)

said = {code: message(code) for code in json.loads(sys.argv[1])}
print(json.dumps(said | {"light": light, "listed": "inspect" in dir(uota)}))
"""


@pytest.fixture(scope="module")
def said():
    """Run each line of code in a separate interpreter, without the shape checks of tests, and return its message."""
    transformed = [form.format(function) for form in TRANSFORMS.values() for function in TRANSFORMED.values()]
    code = [*INVALID_SETTINGS, *transformed, *TRACED.values(), *(f"alike({each})" for each in COMPILED.values())]
    ran = run_command([sys.executable, "-c", SCRIPT, json.dumps(code)])
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize("code", INVALID_SETTINGS)
def test_invalid_settings_are_named(code, said):
    assert INVALID_SETTINGS[code] in said[code]
    assert "Error" not in said[code]


@pytest.mark.parametrize("name", TRANSFORMED)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_function_transforms_are_refused(transform, name, said):
    message = said[TRANSFORMS[transform].format(TRANSFORMED[name])]
    assert message.startswith("an arbiter cannot run inside torch.func (vmap, grad, jvp); compute the weights before")


@pytest.mark.parametrize("kind", TRACED)
def test_tensors_without_values_are_refused(kind, said):
    message = said[TRACED[kind]]
    reasons = ("cannot be traced or exported; export the encoder", "which has no values", "reason: an arbiter decides")
    assert any(reason in message for reason in reasons)


@pytest.mark.parametrize("kind", COMPILED)
def test_compiled_callers_get_the_same_results(kind, said):
    assert said[f"alike({COMPILED[kind]})"] == "True"


def test_importing_is_light_and_inspect_is_listed(said):
    assert said["light"]
    assert said["listed"]


def test_a_strength_before_a_score_is_named():
    class Swapped:
        def __call__(self, x):
            return Weighing(torch.ones(4, 8))

    with pytest.raises(ValueError, match=r"returned a Weighing; a score returns .*Scores, and stands first"):
        Arbiter((Swapped(), TwoGroups()))(X)


# Modes of the caller ----------------------------------------------------------------------------------------------


def called_in(mode):
    def prepare(make, kind):
        module = make()
        with mode():
            module(inputs(kind, 9))
        return module

    return prepare


def first_evaluated(make, kind):
    module = make()
    with torch.inference_mode():
        module.eval()(inputs(kind, 9))
    module.train()(inputs(kind, 9))
    return module


def made_in_inference_mode(make, kind):
    module = in_inference_mode(make)
    module(inputs(kind, 9))
    return module


def called_then(change):
    def prepare(make, kind):
        module = make()
        module(inputs(kind, 9))
        with torch.inference_mode():
            return change(module, make)

    return prepare


def loaded(module, make, **how):
    other = make()
    other.load_state_dict(module.state_dict(), **how)
    return other


PREPARED = {
    "called in inference mode": called_in(torch.inference_mode),
    "called without gradients": called_in(torch.no_grad),
    "called under autocast": called_in(lambda: torch.autocast("cpu", torch.bfloat16)),
    "first evaluated in inference mode": first_evaluated,
    "made in inference mode": made_in_inference_mode,
    "copied in inference mode": called_then(lambda module, make: copy.deepcopy(module)),
    "pickled in inference mode": called_then(lambda module, make: pickle.loads(pickle.dumps(module))),
    "moved in inference mode": called_then(lambda module, make: module.to("cpu", torch.float32)),
    "cast in inference mode": called_then(lambda module, make: module.half()),
    "loaded in inference mode": called_then(loaded),
    "assigned in inference mode": called_then(lambda module, make: loaded(module, make, assign=True)),
}


@pytest.mark.parametrize("kind", STATEFUL)
@pytest.mark.parametrize("preparation", PREPARED)
def test_calls_in_another_mode_do_not_matter(preparation, kind):
    prepared = PREPARED[preparation](KINDS[kind], kind)
    assert_same(steps(prepared, kind), expected_steps(kind, used=True))
    assert not any(x.is_inference() for x in flat(prepared.state_dict()))


@pytest.mark.parametrize("name", ARBITERS)
def test_autocast_does_not_affect_an_arbiter(name):
    with torch.autocast("cpu", torch.bfloat16):
        found = KINDS[name]()(X).weights
    assert torch.equal(found, KINDS[name]()(X).weights)


def test_weights_from_inference_mode_can_weight_a_loss():
    with torch.inference_mode():
        weights = Arbiter("learned")(X).weights
    terms = nn.Parameter(torch.ones(4, 8))
    (terms * weights).sum().backward()
    assert torch.equal(terms.grad, weights)


@pytest.mark.parametrize("kind", STATEFUL)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_default_dtype_does_not_matter(dtype, kind):
    xs, expected = [inputs(kind, seed) for seed in range(3)], expected_steps(kind)
    torch.set_default_dtype(dtype)
    try:
        module = KINDS[kind]()
        found = [outcome(module(x)) for x in xs]
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same(found, expected)


@pytest.mark.skipif(OLD_ADAM, reason="AdamW of torch 2.9 and earlier cannot step on that device")
@pytest.mark.parametrize("kind", STATEFUL)
def test_the_default_device_does_not_matter(kind):
    xs = [inputs(kind, seed) for seed in range(3)]
    module = KINDS[kind]()
    with torch.device("meta"):
        found = [outcome(module(x)) for x in xs]
    assert_same(found, expected_steps(kind))


@pytest.mark.parametrize("kind", STATEFUL)
def test_the_global_random_state_is_not_changed(kind):
    before = torch.get_rng_state()
    KINDS[kind]()(inputs(kind))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_head_is_initialised_as_by_pytorch():
    torch.manual_seed(3)
    expected = nn.Sequential(nn.LayerNorm(5), nn.Linear(5, 256), nn.LayerNorm(256), nn.GELU(), nn.Linear(256, 64))
    assert_same(new_head(5, 3).state_dict().values(), expected.state_dict().values())


# Threads ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*ARBITERS, "sampler"])
def test_several_threads_can_call_at_once(kind):
    module, calls = KINDS[kind](), 16

    def one(seed):
        torch.set_num_threads(1)
        return outcome(module(inputs(kind, seed)))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(one, range(calls)))
    if kind == "sampler":
        assert int(module.draws) == calls
        module = module.arbiter
    else:
        assert all(abs(float(weights.mean()) - 1) < 1e-4 and bool((weights >= 0).all()) for weights in found)
    if hasattr(module.score, "optimizer"):
        assert {int(state["step"]) for state in module.score.optimizer.state.values()} == {calls}
        assert not any(parameter.requires_grad for parameter in module.parameters())
    if hasattr(module.strength, "densities"):
        torch.testing.assert_close(module.strength.densities.sum(1), torch.ones(3))


# Gradient checkpointing -------------------------------------------------------------------------------------------


class Segments(nn.Module):
    """Two encoders whose views one arbiter weights, each in a segment that may be recomputed."""

    def __init__(self, kind, segment):
        super().__init__()
        torch.manual_seed(0)
        self.encoders = nn.ModuleList(nn.Linear(16, 16) for _ in range(2))
        self.arbiter, self.segment = KINDS[kind](), SEGMENTS[segment]

    def forward(self, x):
        return sum(self.segment(self.weighed, encoder, x) for encoder in self.encoders)

    def weighed(self, encoder, x):
        z = encoder(x).tanh()
        return (self.arbiter(z).weights * z.square().mean(-1)).mean()


def keeping_products(function, *args):
    """Checkpoint selectively: keep all matrix products and recompute the rest."""
    products = [torch.ops.aten.mm.default, torch.ops.aten.addmm.default]
    contexts = partial(create_selective_checkpoint_contexts, products)
    return checkpoint(function, *args, use_reentrant=False, context_fn=contexts)


SEGMENTS = {
    "plain": lambda function, *args: function(*args),
    "reentrant": lambda function, *args: checkpoint(function, *args, use_reentrant=True),
    "not reentrant": lambda function, *args: checkpoint(function, *args, use_reentrant=False),
    "selective": keeping_products,
    "nested": lambda function, *args: SEGMENTS["not reentrant"](SEGMENTS["not reentrant"], function, *args),
}


def trained(model):
    gradients = []
    for seed in range(3):
        model.zero_grad()
        model(views(seed).requires_grad_()).backward()
        gradients += [parameter.grad.clone() for parameter in model.encoders.parameters()]
    return [*gradients, *flat(model.arbiter.state_dict())]


@pytest.mark.parametrize("name", ARBITERS)
@pytest.mark.parametrize("segment", ["reentrant", "not reentrant", "selective", "nested"])
def test_checkpointing_changes_neither_gradients_nor_the_state(segment, name):
    found, expected = trained(Segments(name, segment)), trained(Segments(name, "plain"))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("segment", ["reentrant", "not reentrant", "selective"])
def test_weights_changed_in_place_are_reported(segment):
    def changed(arbiter, x, copied):
        weights = arbiter(x).weights
        weights = weights.clone() if copied else weights
        return (weights.mul_(2) * x.square().mean(-1)).mean()

    SEGMENTS[segment](changed, Arbiter("learned"), views().requires_grad_(), True).backward()
    loss = SEGMENTS[segment](changed, Arbiter("learned"), views().requires_grad_(), False)
    with pytest.raises(ValueError, match=r"have been changed in place.*change a copy, weights.clone\(\)"):
        loss.backward()


def test_a_retained_graph_is_recomputed_twice():
    arbiter, seen = Arbiter("learned"), []

    def weighed(x):
        seen.append(arbiter(x).weights)
        return (seen[-1] * x.square().mean(-1)).mean()

    loss = SEGMENTS["not reentrant"](weighed, views().requires_grad_())
    loss.backward(retain_graph=True)
    loss.backward()
    assert_same(seen[:1] * len(seen), seen)


@pytest.mark.parametrize("segment", ["reentrant", "not reentrant"])
def test_checkpointing_samples_once(segment):
    sampler, seen = ViewSampler([2, 1]), []

    def pooled(scale, groups):
        sampled = sampler(groups)
        seen.append(sampled.chosen)
        return sum((scale * views).square().mean() for views in sampled.by_size)

    scale = torch.ones((), requires_grad=True)
    SEGMENTS[segment](pooled, scale, candidates()).backward()
    assert_same(seen[:1], seen[1:])
    assert len(seen) == 2
    assert int(sampler.draws) == 1
    assert int(sampler.arbiter.score.optimizer.state_dict()["state"][0]["step"]) == 1


@pytest.mark.parametrize("segment", ["reentrant", "not reentrant", "selective"])
def test_a_score_used_alone_learns_once(segment):
    score = LearnedContrast()
    weighed = lambda x: (score(x).observed * x.square().mean(-1)).mean()  # noqa: E731
    SEGMENTS[segment](weighed, views().requires_grad_()).backward()
    assert int(score.get_extra_state()["state"][0]["step"]) == 1


def test_a_backward_pass_never_learns():
    """The state does not change even if no call of this shape is remembered."""
    arbiter = Arbiter("learned")
    arbiter(views())
    before = [x.clone() for x in flat(arbiter.state_dict())]
    seen = []
    x = torch.ones(3, requires_grad=True)
    x.register_hook(lambda _: seen.append(arbiter(views(5, (3, 9, 16))).weights))
    x.sum().backward()
    assert_same(flat(arbiter.state_dict()), before)
    assert float(seen[0].mean()) == pytest.approx(1, abs=1e-4)


def test_the_memory_for_recomputation_is_bounded_and_never_copied():
    arbiter = Arbiter("two_groups")
    results = [weakref.ref(arbiter(views()).weights)]
    gc.collect()
    assert results[0]() is None  # outside of checkpointing nothing is remembered
    size = len(pickle.dumps(arbiter))
    with torch.no_grad():
        results = [weakref.ref(arbiter(views(seed, (2, 3, 4))).weights) for seed in range(REMEMBERED + 3)]
    gc.collect()
    assert [result() is not None for result in results] == [False] * 3 + [True] * REMEMBERED
    copied = {}
    copy.deepcopy(arbiter, copied)
    assert not any(id(result()) in copied for result in results[3:])
    assert len(pickle.dumps(arbiter)) < size + 200


# Casts and moves --------------------------------------------------------------------------------------------------


def overwritten(module):
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        return module.to(torch.float64).to(torch.float32)
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)


def cast_through_data(module):
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            tensor.data = tensor.data.double()
    return module


CASTS_AND_MOVES = {
    "half": lambda module: module.half(),
    "bfloat16": lambda module: module.bfloat16(),
    "float": lambda module: module.float(),
    "to float16": lambda module: module.to(torch.float16),
    "to the cpu": lambda module: module.to("cpu"),
    "to cpu and half": lambda module: module.to("cpu", torch.float16),
    "type": lambda module: module.type(torch.float16),
    "twice": lambda module: module.half().bfloat16(),
    "there and back": lambda module: module.double().float(),
    "half of double": lambda module: module.double().half(),
    "memory format": lambda module: module.to(memory_format=torch.channels_last),
    "shared": lambda module: module.share_memory(),
    "new parameters": overwritten,
    "asking for gradients": lambda module: module.requires_grad_(True),
    "cleared gradients": lambda module: (module.zero_grad(), module)[1],
}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        *((kind, change) for kind in ("learned", "two_groups") for change in CASTS_AND_MOVES),
        *(("sampler", change) for change in ("half", "type", "half of double", "new parameters")),
    ],
)
@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
def test_casts_and_moves_do_not_change_an_arbiter(kind, change, used):
    module = KINDS[kind]()
    if used:
        module(inputs(kind, 9))
    changed = CASTS_AND_MOVES[change](nn.Sequential(module))[0]
    assert_same(steps(changed, kind), expected_steps(kind, used))
    assert {x.dtype for x in flat(changed.state_dict())} <= {torch.float32, torch.int64}


@pytest.mark.parametrize("name", ["learned", "two_groups"])
@pytest.mark.parametrize("how", [lambda module: module.double(), cast_through_data], ids=["double", "behind"])
def test_results_in_float64_equal_those_in_float32(how, name):
    one, other = KINDS[name](), KINDS[name]()
    for module in (one, other):
        module(views(9))
    how(one)
    for found, expected in zip(steps(one, name), steps(other, name), strict=True):
        torch.testing.assert_close(found.double(), expected.double(), rtol=2e-3, atol=2e-3)
    assert {x.dtype for x in flat(one.state_dict()) if x.dim()} == {torch.float64}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["learned", "two_groups"])
def test_a_state_cast_through_data_becomes_float32_again(name, dtype):
    arbiter = KINDS[name]()
    arbiter(views())
    for tensor in (*arbiter.parameters(), *arbiter.buffers()):
        tensor.data = tensor.data.to(dtype)
    assert all(float(weights.mean()) == pytest.approx(1, abs=1e-4) for weights in steps(arbiter, name))
    assert {x.dtype for x in flat(arbiter.state_dict())} == {torch.float32}


@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
@pytest.mark.parametrize("kind", STATEFUL)
def test_a_state_on_the_meta_device_is_refused(kind, used):
    module = KINDS[kind]()
    if used:
        module(inputs(kind))
    with pytest.raises(ValueError, match=r"on the meta device.*load its state"):
        module.to("meta")(inputs(kind))


# States -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", STATEFUL)
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("assign", [True, False])
def test_a_state_can_be_loaded_into_a_new_and_a_used_module(kind, strict, assign):
    saved = KINDS[kind]()
    steps(saved, kind)
    new, used = KINDS[kind](), KINDS[kind]()
    steps(used, kind, range(20, 22))
    for module in (new, used):
        module.load_state_dict(copy.deepcopy(saved.state_dict()), strict=strict, assign=assign)
    expected = steps(saved, kind, range(5, 7))
    assert_same(steps(new, kind, range(5, 7)), expected)
    assert_same(steps(used, kind, range(5, 7)), expected)


@pytest.mark.parametrize("kind", STATEFUL)
def test_a_state_from_before_the_first_call_resets_a_module(kind):
    used = KINDS[kind]()
    steps(used, kind)
    used.load_state_dict(KINDS[kind]().state_dict())
    assert_same(steps(used, kind), expected_steps(kind))


@pytest.mark.parametrize("kind", STATEFUL)
def test_two_modules_loaded_from_one_state_do_not_share_it(kind):
    one, other = KINDS[kind](), KINDS[kind]()
    steps(one, kind)
    other.load_state_dict(one.state_dict())
    before = [x.clone() for x in flat(other.state_dict())]
    steps(one, kind, range(5, 8))
    assert_same(flat(other.state_dict()), before)


def saved_and_read(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),
    "torch.save": saved_and_read,
    "copy of a copy": lambda module: copy.deepcopy(copy.deepcopy(module)),
}


@pytest.mark.parametrize("kind", [*ARBITERS, "sampler"])
@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_independent(how, kind):
    module = KINDS[kind]()
    module(inputs(kind, 9))
    copied = COPIES[how](module)
    assert_same(steps(copied, kind), expected_steps(kind, used=True))
    assert_same(steps(module, kind), expected_steps(kind, used=True))
    copied.load_state_dict(KINDS[kind]().state_dict())
    assert_same(steps(copied, kind), expected_steps(kind))


def test_a_state_of_another_width_is_loaded_and_views_of_another_width_are_refused():
    saved, used = Arbiter("learned"), Arbiter("learned")
    saved(views(shape=(4, 8, 6)))
    used(X)
    used.load_state_dict(saved.state_dict())
    assert torch.equal(used(views(1, (4, 8, 6))).weights, saved(views(1, (4, 8, 6))).weights)
    with pytest.raises(ValueError, match="width 6 and was given width 16; use one arbiter per kind"):
        used(X)


def spoiled(name, value):
    def spoil(state):
        return state | {name: value(state.get(name))}

    return spoil


def without(prefix):
    return lambda state: {name: value for name, value in state.items() if not name.startswith(prefix)}


def with_optimizer(**changes):
    return spoiled("score._extra_state", lambda state: state | changes)


INVALID_STATES = {
    "of two groups": (lambda state: Arbiter("two_groups").state_dict(), "Missing key.*score._extra_state"),
    "of a wrapped arbiter": (lambda state: {f"module.{name}": value for name, value in state.items()}, "Missing key"),
    "NaN in the head": (spoiled("score.head.1.weight", lambda x: x * float("nan")), "has NaN or infinite entries"),
    "head of integers": (
        spoiled("score.head.1.weight", lambda x: x.long()),
        "is a torch.int64, not a tensor of floats",
    ),
    "head of text": (spoiled("score.head.0.weight", lambda x: "weights"), "is a str, not a tensor of floats"),
    "head without a width": (spoiled("score.head.0.weight", lambda x: x[:0]), r"is of shape \(0,\)"),
    "scalar head": (spoiled("score.head.0.weight", lambda x: x.sum()), r"is of shape \(\)"),
    "meta head": (spoiled("score.head.0.weight", lambda x: x.to("meta")), "on the meta device"),
    "other layers": (spoiled("score.head.1.weight", lambda x: x[:5]), "size mismatch"),
    "half a head": (without("score.head.1"), "Missing key"),
    "no head": (without("score.head"), "does not fit its head; load the whole state dict of one arbiter"),
    "no optimiser": (without("score._extra"), "Missing key"),
    "text for an optimiser": (spoiled("score._extra_state", lambda x: "adam"), "does not fit its head"),
    "half an optimiser": (with_optimizer(param_groups=[]), "does not fit its head"),
    "another optimiser": (with_optimizer(state={0: {"momentum": torch.ones(16)}}), "does not fit its head"),
    "moments of another width": (
        with_optimizer(state={0: {"exp_avg": torch.ones(3), "exp_avg_sq": torch.ones(3)}}),
        "does not fit its head",
    ),
    "negative densities": (spoiled("strength.densities", lambda x: x - 1), "negative or NaN entries"),
    "NaN densities": (spoiled("strength.densities", lambda x: x * float("nan")), "negative or NaN entries"),
    "few densities": (spoiled("strength.densities", lambda x: x[:2]), "size mismatch"),
}


@pytest.mark.parametrize("kind", INVALID_STATES)
def test_an_invalid_state_is_refused(kind):
    spoil, expected = INVALID_STATES[kind]
    arbiter = Arbiter("learned")
    arbiter(X)
    with pytest.raises((RuntimeError, ValueError), match=expected):
        Arbiter("learned").load_state_dict(spoil(arbiter.state_dict()))


@pytest.mark.parametrize("kind", ["no optimiser", "of two groups"])
def test_part_of_a_state_is_loaded_if_not_strict(kind):
    arbiter, loading = Arbiter("learned"), Arbiter("learned")
    arbiter(X)
    loading.load_state_dict(INVALID_STATES[kind][0](arbiter.state_dict()), strict=False)
    assert float(loading(X).weights.mean()) == pytest.approx(1, abs=1e-4)


# Text, types, torch.compile, torch.func ---------------------------------------------------------------------------


def test_a_result_prints_on_one_line():
    text = repr(uota.arbitrate(WIDE, 20.0))
    least, greatest = paper(WIDE, 20.0).aminmax()
    assert text.startswith(f"Arbitration(weights 4 × 16, {least:.3g} to {greatest:.3g}, mean 1, ess 0.")
    assert text.endswith("tau 20)")
    assert "outlier rate 0." in repr(Arbiter("two_groups")(WIDE))


REPRS = {
    "scores": lambda: Contrast()(WIDE),
    "weighing": lambda: TwoGroups()(Contrast()(WIDE)),
    "sampled": lambda: ViewSampler([2, 1])(candidates()),
    "empty": lambda: Weighing(torch.ones(4, 0)),
    "meta": lambda: uota.Arbitration(torch.ones(4, 8, device="meta"), torch.ones(4, 8, device="meta")),
    "empty scores": lambda: Scores(torch.ones(0, 0), None, lambda x: x),
    "NaN": lambda: Weighing(torch.full((2, 2), float("nan"))),
    "half": lambda: Weighing(torch.ones(200, 300, dtype=torch.float16)),
    "with a gradient": lambda: Weighing(torch.ones(2, 2, requires_grad=True)),
}


@pytest.mark.parametrize("kind", REPRS)
def test_every_result_prints_on_one_line(kind):
    text = str(REPRS[kind]())
    assert len(text) < 250
    assert "tensor(" not in text
    assert "\n" not in text


def test_results_are_compared_and_hashed_by_identity():
    one, other = uota.arbitrate(X, 20.0), uota.arbitrate(X, 20.0)
    assert one == one
    assert one != other
    assert len({one, other}) == 2


def test_replaced_parameters_are_reported():
    arbiter = Arbiter("learned")
    arbiter(X)
    clones = {name: parameter.clone() for name, parameter in arbiter.named_parameters()}
    with pytest.raises(ValueError, match=r"have been replaced.*ignored_modules=\[arbiter\]"):
        torch.func.functional_call(arbiter, clones, (X,))


def test_inspect_is_listed_and_typed():
    assert set(uota.__all__) <= set(dir(uota))
    with pytest.raises(AttributeError, match="no attribute 'inspekt'"):
        uota.inspekt  # noqa: B018
    # For type checkers and editors; at run time, the module is imported when it is first used.
    assert "if TYPE_CHECKING:" in inspect.getsource(uota)
    assert "    from uota.inspection import inspect\n" in inspect.getsource(uota).partition("__version__")[0]


# Wrappers ---------------------------------------------------------------------------------------------------------


class Weighed(nn.Module):
    def __init__(self, used):
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.arbiter = nn.Linear(16, 16), Arbiter("learned")
        if used:
            self.arbiter(X)

    def forward(self, x):
        z = self.encoder(x)
        return (self.arbiter(z).weights * z.square().mean(-1)).mean()


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path_factory.mktemp('rank')}/meet", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def fsdp(model, **options):
    from torch.distributed.fsdp import FullyShardedDataParallel

    return FullyShardedDataParallel(model, device_id=torch.device("cpu"), **options)


def fsdp2(model, **options):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    fully_shard(model, mesh=init_device_mesh("cpu", (1,)), **options)
    return model


WRAPPERS = {
    "ddp": lambda model: nn.parallel.DistributedDataParallel(model),
    "fsdp": lambda model: fsdp(model, ignored_modules=[model.arbiter]),
    "fsdp, own parameters": lambda model: fsdp(model, use_orig_params=True, ignored_modules=[model.arbiter]),
    "fsdp2": lambda model: fsdp2(model, ignored_params=set(model.arbiter.parameters())),
}
SHARDED = {
    "fsdp": fsdp,
    "fsdp, own parameters": lambda model: fsdp(model, use_orig_params=True),
    "fsdp2": fsdp2,
}


def losses(model):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    found = []
    for seed in range(3):
        loss = model(views(seed))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        found.append(loss.detach())
    return torch.stack(found)


@pytest.mark.filterwarnings("ignore")  # warnings of PyTorch's wrappers on a CPU
@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrapped_models_learn_the_same(wrapper, used, one_rank):
    torch.testing.assert_close(losses(WRAPPERS[wrapper](Weighed(used))), losses(Weighed(used)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("wrapper", SHARDED)
def test_models_wrapped_before_the_first_call_learn_the_same(wrapper, one_rank):
    torch.testing.assert_close(losses(SHARDED[wrapper](Weighed(False))), losses(Weighed(False)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("wrapper", ["fsdp, own parameters", "fsdp2"])
def test_a_sharded_head_is_refused(wrapper, one_rank):
    with pytest.raises(ValueError, match=r"have been replaced.*ignored_modules=\[arbiter\] .*ignored_params"):
        losses(SHARDED[wrapper](Weighed(True)))


@pytest.mark.filterwarnings("ignore")
def test_a_wrapped_arbiter_is_refused(one_rank):
    arbiter = Weighed(True).arbiter
    with pytest.raises(ValueError, match=r"have been replaced.*ignored_modules=\[arbiter\]"):
        fsdp(arbiter)(X)


def test_scores_used_alone_are_as_safe():
    score = LearnedContrast()
    assert score.width is None
    with pytest.raises(ValueError, match="no head before its first call"):
        score.embed(X)
    with torch.inference_mode():
        ScoreInBatches(score, 2)(views(9))
    assert bool(torch.isfinite(score(X).observed).all())
