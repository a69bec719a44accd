"""Run `python -m training.landmarks.measure`."""

from training.landmarks.measure.run import main

if __name__ == '__main__':
    main()
