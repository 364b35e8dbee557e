import pytest

from shirg_bench.lmms.overrides import check_override
from shirg_bench.lmms.sampling import SAMPLER, parse_sampling
from shirg_lavida.sampling.options import VALUES, SamplingOptions


def parse(**gen_kwargs):
    return parse_sampling(gen_kwargs, {}, max_new_tokens=12)


@pytest.mark.parametrize("option", [option for option in VALUES if option.name != "cache"], ids=lambda o: o.name)
def test_every_option_of_the_sampler_is_one_and_keeps_its_type(option):
    assert option.name in SAMPLER
    needs = {"eos_penalty": 2.5, "temperature": 0.5, "confidence_threshold": 0.5, "step_ratio": 0.5, "shift": 2.0}
    needs |= {"steps": 6, "block_length": 6, "schedule": "shift", "remasking": "margin", "attention": "full"}
    needs |= {"draw": "categorical", "top_p": 0.5, "top_k": 5}
    value = needs.get(option.name, not option.default)
    filtering = {"draw": "categorical", "temperature": 0.5}
    beside = {"shift": {"schedule": "shift"}, "top_p": filtering, "top_k": filtering}
    given = {option.name: str(value), **beside.get(option.name, {})}
    found = dict(parse(**given).options)
    assert found[option.name] == value
    assert type(found[option.name]) is type(value)
    assert getattr(SamplingOptions(**found), option.name) == value


def test_the_names_that_users_of_lavida_know():
    given = {
        "prefix_lm": "True",
        "step_ratio": "0.5",
        "block_length": "8",
        "schedule": "shift",
        "schedule__shift": "0.33",
        "max_new_tokens": "16",
        "remasking": "entropy",
        "temperature": 0,
    }
    sampling = parse_sampling(given, {}, max_new_tokens=12)
    assert sampling.max_new_tokens == 16
    assert dict(sampling.options) == {
        "block_length": 8,
        "cache": True,
        "remasking": "entropy",
        "schedule": "shift",
        "shift": 0.33,
        "step_ratio": 0.5,
        "temperature": 0.0,
    }


def test_defaults_give_way_and_nothing_is_changed():
    given, defaults = {"until": ["\n\n"], "temperature": 0.0}, {"block_length": 4, "temperature": 0.5}
    sampling = parse_sampling(given, defaults, max_new_tokens=12)
    assert sampling.max_new_tokens == 12
    assert dict(sampling.options) == {"block_length": 4, "cache": True, "temperature": 0.0}
    assert given == {"until": ["\n\n"], "temperature": 0.0}
    assert defaults == {"block_length": 4, "temperature": 0.5}


def test_without_prefix_lm_nothing_is_cached():
    assert dict(parse(prefix_lm=False).options) == {"attention": "full", "cache": False}
    assert dict(parse_sampling({}, {}, max_new_tokens=4, cache=False).options) == {"cache": False}


def test_official_task_files_pass():
    official = {
        "max_new_tokens": 16,
        "temperature": 0.0,
        "do_sample": False,
        "top_p": 1.0,
        "num_beams": 1,
        "top_k": None,
    }
    assert dict(parse(**official).options) == {"cache": True, "temperature": 0.0}
    assert dict(parse(temperature=0, top_p=0).options) == {"cache": True, "temperature": 0.0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"refix_lm": True}, "unknown generation argument 'refix_lm', did you mean 'prefix_lm'? known: max_new_tokens"),
        ({"max_new_tokens": "many"}, "max_new_tokens: expected a number, got 'many'"),
        ({"max_new_tokens": 7.5}, "max_new_tokens: expected an integer, got 7.5"),
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1, got 0"),
        ({"prefix_lm": "perhaps"}, "prefix_lm: expected true or false, got 'perhaps'"),
        ({"block_length": -5}, "block_length must be an integer ≥ 1, got -5"),
        ({"schedule": "steep"}, "schedule must be one of"),
        ({"remasking": "luck"}, "remasking must be one of"),
        ({"do_sample": True}, "contradict each other"),
        ({"qqq": 4}, "unknown generation argument 'qqq'; known: max_new_tokens"),
        ({"stop_sequences": 3}, "stop_sequences must be a text or a list of texts, got 3"),
        ({"shift": 3}, "shift=3.0 belongs to schedule=shift"),
        ({"shift": 3, "schedule__shift": 5, "schedule": "shift"}, "shift=3.0 and schedule__shift=5.0 contradict"),
        ({"prefix_lm": True, "attention": "full"}, "prefix_lm=True and attention=full contradict each other"),
        ({"alg": "origin"}, "alg must be one of maskgit_plus, topk_margin, entropy, got 'origin'"),
        ({"alg": "entropy", "remasking": "margin"}, "alg=entropy and remasking=margin contradict each other"),
        ({"prefix_lm": False, "attention": "prefix"}, "prefix_lm=False and attention=prefix contradict each other"),
        ({"until": 3}, "until must be a text or a list of texts, got 3"),
    ],
)
def test_what_cannot_be_followed_is_one_clear_error(given, message):
    with pytest.raises(ValueError) as error:
        parse(**given)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("official", "options", "until"),
    [
        # seedbench, hd_epic, mindcube, kaleidoscope, microvqa and lsdbench of lmms-eval 0.7.3 hold the like.
        ({"image_aspect_ratio": "original", "max_agentic_steps": 8}, {}, ()),
        ({"stop_sequences": ["\n"], "until": ["</s>", "\n"]}, {}, ("</s>", "\n")),
        ({"stop_sequences": "\n", "until": "none"}, {}, ("\n",)),
        ({"repetition_penalty": 1.0, "skip_special_tokens": False, "seed": 0}, {}, ()),
        ({"temperature": 0.7, "do_sample": True, "top_k": 1}, {"temperature": 0.0}, ()),
        ({"temperature": 0.7, "do_sample": True, "top_p": 0}, {"temperature": 0.0}, ()),
        ({"image_aspect_ratio": None, "nobody_knows": "None"}, {}, ()),
        ({"alg": "topk_margin", "prefix_lm": True}, {"remasking": "margin"}, ()),
        (
            {"temperature": 0.5, "draw": "categorical", "top_p": 0.9, "top_k": 20},
            {"temperature": 0.5, "draw": "categorical", "top_p": 0.9, "top_k": 20},
            (),
        ),
    ],
)
def test_what_changes_nothing_here_or_is_followed_is_not_ignored(official, options, until):
    sampling = parse(**official)
    assert dict(sampling.options) == {"cache": True, **options}
    assert (sampling.until, sampling.ignored) == (until, ())


@pytest.mark.parametrize(
    ("official", "temperature", "ignored"),
    [
        ({"temperature": 0.5, "top_p": 0.9, "do_sample": True}, 0.5, {"top_p": "top_p=0.9: "}),
        ({"temperature": 0.5, "top_k": 20}, 0.5, {"top_k": "top_k=20: "}),
        (
            {"temperature": 0.2, "do_sample": False, "top_p": 0.9},
            0.0,
            {"temperature": "do_sample=False: temperature=0.2"},
        ),
        (
            {"repetition_penalty": 1.2, "num_beams": 4},
            None,
            {"num_beams": "num_beams=4", "repetition_penalty": "1.2: "},
        ),
    ],
)
def test_what_this_sampler_cannot_do_is_named_and_left_out(official, temperature, ignored):
    sampling = parse(**official)
    assert dict(sampling.options).get("temperature") == temperature
    assert not dict(sampling.options).keys() & {"top_p", "top_k", "do_sample", "num_beams", "repetition_penalty"}
    assert sampling.ignored
    assert {name for name, _ in sampling.ignored} == ignored.keys()
    assert all(ignored[name] in why for name, why in sampling.ignored)


def test_what_no_task_could_make_usable_is_refused_before_any_is_loaded():
    for usable in (
        {},
        {"shift": "0.5"},
        {"block_length": 12},
        {"max_new_tokens": 200},
        {"do_sample": True},
        {"steps": 4, "max_new_tokens": 16, "block_length": 4},
        {"max_new_tokens": 7, "block_length": 4},
        {"top_p": 0.9},
        {"image_aspect_ratio": "none", "whatever_a_task_holds": None},
    ):
        check_override(usable)
    for wrong, message in (
        ({"step_ratio": 0}, "step_ratio"),
        ({"attention": "sideways"}, "sideways"),
        ({"schedule": "foo"}, "foo"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"until": 8}, "until must be a text"),
        ({"temperature": 0.5, "do_sample": False}, "temperature=0.5 is not used; leave it out"),
        ({"temperature": 0.5, "top_p": 0.9}, "top_p=0.9: this sampler draws from the whole vocabulary; leave it out"),
        ({"num_beams": 4}, "num_beams=4: a diffusion sampler has no beams; leave it out"),
        ({"image_aspect_ratio": "pad"}, "image_aspect_ratio=pad changes nothing here: --views says"),
        ({"temprature": 0.5}, "unknown generation argument 'temprature', did you mean 'temperature'"),
    ):
        with pytest.raises(ValueError, match=message):
            check_override(wrong)


def test_an_answer_ends_before_the_first_stop():
    sampling = parse(until=["ASSISTANT:", "\n\n", ""])
    assert sampling.cut("42\n\nand more ASSISTANT: no") == "42"
    assert sampling.cut("42") == "42"
    assert parse(until="b").cut("a b") == "a"
