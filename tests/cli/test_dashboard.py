"""What `stanhop dashboard` hands to Streamlit's server."""

import os


def test_the_server_asks_nothing_and_every_setting_is_one_that_it_knows(
    stanhop, monkeypatch, tmp_path
):
    """The first start of a user would wait for an e-mail address; the other tests start without a browser."""
    from stanhop_app.cli import dashboard
    from streamlit import config

    started = []
    monkeypatch.setattr(dashboard, "hold_back", lambda: None)
    monkeypatch.setattr(os, "execve", lambda program, words, environment: started.append(words))
    stanhop("dashboard", "--runs", tmp_path)
    (words,) = started
    flags = words[words.index("--server.address") :]
    settings = dict(zip(flags[::2], flags[1::2], strict=True))
    assert settings["--server.showEmailPrompt"] == "false"
    assert settings["--browser.gatherUsageStats"] == "false"
    assert settings["--server.headless"] == "false"
    assert {name.removeprefix("--") for name in settings} <= set(config._config_options_template)
