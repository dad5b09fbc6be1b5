from uota.training.summary import Session, Summary


def session(steps, images=64, seconds=30.0):
    made = Session()
    for _ in range(steps):
        made.add(images)
    made.seconds = seconds
    return made


def test_it_tells_the_length_the_speed_and_the_loss():
    length, loss, share = Summary(90, session(90), 5.25, {"loss": 4.5, "outlier_rate": 0.031}).lines()
    assert length == "trained 90 steps, in 0:00:30 (h:mm:ss) at 192 images/s"
    assert loss == "loss 5.25 → 4.5 (from the first line to the last)"
    assert share == "estimated share of outlier views at the end: 3.1 %"


def test_a_resumed_run_tells_which_part_the_time_is_of():
    length, loss = Summary(90, session(30), None, {"loss": 4.5}).lines()
    assert length.startswith("trained 90 steps, 30 of them since the run was resumed, in 0:00:30")
    assert loss == "loss 4.5 at the end"


def test_a_finished_run_has_nothing_left():
    assert Summary(90, session(0), 5.25, {}).lines() == ["nothing is left to train: all 90 steps were done before"]
