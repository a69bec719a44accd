"""What the fault commands of the simulated bus are called; faults.py carries them out."""

HELP = """\
silence                no reply leaves the bus
deaf                   no instruction arrives
noise RATIO            garbage bytes before this ratio of the replies (0..1)
crc RATIO              wrong checksum in this ratio of the replies
lose RATIO             this ratio of the replies vanishes
slow SECONDS           every reply comes later
nofast                 firmware without fast reads
unplug | plug          the USB adapter goes away, comes back
dead ID | alive ID     one servo stops answering, answers again
block ID | free ID     the horn is stuck, turns again
overload ID            overload shutdown
heat ID CELSIUS        case temperature now
load ID FRACTION       torque on the horn, -1..1 of the stall torque
reboot ID              the servo restarts
supply VOLTS [ID]      supply voltage (0 is a power cut)
normal                 everything good again (temperatures stay)"""
