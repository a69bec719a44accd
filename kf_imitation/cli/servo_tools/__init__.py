"""The tools of `kf_imitation servo`, one file each."""
