from uota.config import Pretrain
from uota.data import open_source
from uota.methods import Step
from uota.training.build import build_module, decide, preset_of
from uota.views import ViewPipeline


def test_compile_reaches_what_the_step_calls_of_the_encoder_and_of_its_momentum_copy(monkeypatch):
    called = []

    def compiled(function):
        def counted(images):
            called.append(function.__self__)
            return function(images)

        return counted

    monkeypatch.setattr("torch.compile", compiled)
    source = open_source("demo")
    settings = decide(Pretrain(data="demo", method="byol", compile=True), source)
    views = ViewPipeline(preset_of(settings), 0)(source, [(0, index) for index in range(8)])
    method = build_module(settings, total_steps=2).method

    method.embed(views.groups, Step())

    assert called == [method.target.encoder, method.encoder, method.encoder]  # targets; global and local views
    assert not any("compiled" in name for name in method.state_dict())
