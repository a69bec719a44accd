"""Recordings that the page starts, by a real child process."""

from kf_imitation.cockpit.recording import Recording


def test_a_recording_that_cannot_be_made_says_why(tmp_path):
    folder = tmp_path / 'taken'
    folder.write_text('a file', encoding='utf-8')
    recording = Recording(folder, '')
    assert not recording.end().result().done
    begun = recording.begin(images=False)
    assert begun.done and str(folder) in begun.sentence
    assert not recording.begin(images=False).done
    recording.close(patience_s=60)
    assert not recording.is_running
    assert recording.failed and 'is not a folder' in recording.sentence
