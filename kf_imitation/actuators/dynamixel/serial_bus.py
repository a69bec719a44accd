"""The real bus, on dynamixel_sdk, which builds the packets; the only module that imports it.

The SDK waits by spinning and gives a servo 34 ms. _Port replaces both: it sleeps until bytes
come, and gives a reply its time on the wire plus a margin that fits a 100 Hz cycle.
"""

import contextlib
import errno
import fcntl
import itertools
import os
import select
import termios
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import serial
from dynamixel_sdk import (
    COMM_RX_CORRUPT,
    COMM_RX_TIMEOUT,
    COMM_SUCCESS,
    GroupSyncRead,
    GroupSyncWrite,
    PortHandler,
    Protocol2PacketHandler,
)

from kf_imitation.actuators.bus import BlockReply, DeviceError, NoReplyError, PingReply, retry
from kf_imitation.actuators.dynamixel.port_owner import listed, owners
from kf_imitation.actuators.dynamixel.simulator_socket import SimulatorSocket, is_socket
from kf_imitation.errors import PortError

# A reply's time beyond its bytes: USB 1 ms, scheduling, return delay of a servo not set up yet.
# Outside the cycle a busy machine gets more time.
GROUP_MARGIN_S = 0.015
SINGLE_MARGIN_S = 0.025
PATIENT_MARGIN_S = 0.08
# After a missing reply a servo is asked for so many bytes from address 0: for more than the cycle
# reads and less than an inspection does, and each time for another number.
MARK_LENGTHS = range(17, 49)
WRITE_TIMEOUT_S = 0.1
TRIES = 3
PSEUDO_TERMINALS = range(136, 144)  # major numbers; a simulator has them open, too
LINE_TROUBLE = {
    COMM_RX_TIMEOUT: 'no answer in time',
    COMM_RX_CORRUPT: 'the answer is broken or incomplete',
}
FAST_FAILURES = 3  # in a row: find out again whether fast or normal group reads work
Result = TypeVar('Result')


class _Port(PortHandler):  # type: ignore[misc]
    """The SDK's port with exclusive access, short timeouts and sleeping instead of spinning."""

    is_open: bool
    margin_s = PATIENT_MARGIN_S

    def setupPort(self, cflag_baud: int) -> bool:  # noqa: N802
        if self.is_open:
            self.closePort()
        if is_socket(self.port_name):
            self.ser = SimulatorSocket(self.port_name, self.baudrate)
        else:
            self.ser = self._device()
        self.is_open = True
        self.ser.reset_input_buffer()
        self.tx_time_per_byte = 10_000.0 / self.baudrate
        return True

    def _device(self) -> serial.Serial:
        device = serial.Serial(
            self.port_name,
            self.baudrate,
            timeout=0,
            write_timeout=WRITE_TIMEOUT_S,
            exclusive=True,
        )
        if os.major(os.fstat(device.fileno()).st_rdev) not in PSEUDO_TERMINALS:
            fcntl.ioctl(device.fileno(), termios.TIOCEXCL)  # for those who ask for no lock
        with contextlib.suppress(OSError, ValueError, NotImplementedError):
            device.set_low_latency_mode(True)  # FTDI: latency_timer 16 ms -> 1 ms
        return device

    def getCurrentTime(self) -> float:  # noqa: N802
        return time.monotonic() * 1000.0

    def setPacketTimeout(self, packet_length: int) -> None:  # noqa: N802
        self.setPacketTimeoutMillis(self.tx_time_per_byte * packet_length + self.margin_s * 1000.0)

    def readPort(self, length: int) -> bytes:  # noqa: N802
        left = max(0.0, self.packet_timeout - self.getTimeSinceStart()) / 1000.0
        fd = self.ser.fileno()
        if length <= 0 or not select.select([fd], [], [], left)[0]:
            return b''
        data = os.read(fd, length)
        if not data:
            raise serial.SerialException('the device is gone')
        return data


class _Read(GroupSyncRead):  # type: ignore[misc]
    """The SDK's group read, which forgets the error bytes; this one keeps the alerts."""

    def __init__(self, port: _Port, handler: Any, address: int, length: int) -> None:
        super().__init__(port, handler, address, length)
        self.alerts: dict[int, bool] = {}

    def rxPacket(self) -> int:  # noqa: N802
        self.last_result = False
        for id_ in self.data_dict:
            data, result, error = self.ph.readRx(self.port, id_, self.data_length)
            if result != COMM_SUCCESS:
                return int(result)
            if len(data) != self.data_length:
                return int(COMM_RX_CORRUPT)
            self.data_dict[id_] = data
            self.alerts[id_] = bool(error & 0x80)
        self.last_result = True
        return int(COMM_SUCCESS)

    def fastSyncReadRxPacket(self) -> int:  # noqa: N802
        stride = self.data_length + 4  # error, id, data, CRC
        raw, result, _ = self.ph.fastSyncReadRx(self.port, 0xFE, stride * len(self.data_dict))
        if result != COMM_SUCCESS:
            return int(result)
        for index, id_ in enumerate(self.data_dict):
            part = raw[index * stride : (index + 1) * stride]
            if len(part) < stride - 2 or part[1] != id_:
                return int(COMM_RX_CORRUPT)
            self.data_dict[id_] = part[2 : 2 + self.data_length]
            self.alerts[id_] = bool(part[0] & 0x80)
        self.last_result = True
        return int(COMM_SUCCESS)


class DynamixelBus:
    """ServoBus over a serial device.

    Attributes:
        port: device path.
        baud: bit/s.
        misses: replies that were lost or damaged (ServoBus).
        fast: fast group reads work; None until the first one decided it.
    """

    def __init__(self, port: str, baud: int) -> None:
        self.port = port
        self.baud = baud
        self.misses = 0
        self.fast: bool | None = None
        self._fast_failures = 0
        self._ours = -1  # device number of what nobody else had open when we opened it
        self._asked: _Read | None = None  # by ask_ahead()
        self._in_step = True  # no reply to an earlier instruction is on its way any more
        self._marks = itertools.cycle(MARK_LENGTHS)
        self._margin_s = PATIENT_MARGIN_S
        self._port = _Port(port)
        self._handler = Protocol2PacketHandler()
        self._reads: dict[tuple[int, int, tuple[int, ...]], _Read] = {}
        self._writes: dict[tuple[int, int], GroupSyncWrite] = {}

    def open(self) -> None:
        """Open the port for this program alone, whatever other names its device has."""
        try:
            opened = self._port.setBaudRate(self.baud)
        except (serial.SerialException, OSError, termios.error) as error:
            raise PortError(self.trouble(error)) from error
        if not opened:
            raise PortError(f'{self.port}: {self.baud} bit/s is not a rate of the Dynamixel SDK')
        self._port.is_using = False
        self._check_ours()

    def _check_ours(self) -> None:
        """Let go of a device that another program has open under whatever name (Linux)."""
        with contextlib.suppress(OSError):
            device = os.stat(self.port).st_rdev  # 0: no device, but the socket of a simulator
            if device and device != self._ours and (others := owners(self.port)):
                self.close()
                raise PortError(f'{self.port}: is in use by {listed(others)}')
            self._ours = device

    def rename(self, port: str) -> None:
        """Use another device from the next open() on."""
        self.port = port
        self._port.setPortName(port)

    def trouble(self, error: BaseException) -> str:
        """Return what is wrong with the port, of which the system says an error."""
        return f'{self.port}: {_reason(error, self.port)}'

    def close(self) -> None:
        """Release the port."""
        if self._port.is_open:
            with contextlib.suppress(serial.SerialException, OSError, termios.error):
                self._port.closePort()
            self._port.is_open = False

    def shutdown(self) -> None:
        """Release the port."""
        self.close()

    def tick(self, now_s: float) -> None:
        """Do nothing: a real bus has its own time."""

    def use_short_timeouts(self, in_cycle: bool) -> None:
        """Wait only briefly for the reply of one servo (in the cycle), or patiently."""
        self._margin_s = SINGLE_MARGIN_S if in_cycle else PATIENT_MARGIN_S

    def ping(self, id_: int, tries: int = TRIES) -> PingReply:
        """Ask one servo for its model number and firmware.

        Nothing else depends on when it answered, so the reply to an earlier ping is good, too.
        """
        data = self._try(f'ping of servo {id_}', lambda: self._ping(id_), tries=tries)
        return PingReply(id_, data[0], data[1])

    def scan(self) -> list[PingReply]:
        """Ask everybody at once."""
        with self._guard():
            found, _ = self._handler.broadcastPing(self._port)
        self._in_step = False
        return [PingReply(int(i), int(d[0]), int(d[1])) for i, d in sorted(found.items())]

    def read(self, id_: int, address: int, length: int) -> bytes:
        """Return memory of one servo."""

        def once() -> tuple[bytes, int, int]:
            data, result, error = self._handler.readTxRx(self._port, id_, address, length)
            if result == COMM_SUCCESS and not error & 0x7F and len(data) != length:
                result = COMM_RX_CORRUPT  # a late reply to something else
            return bytes(data), result, error

        return self._try(f'reading {length} bytes at {address} of servo {id_}', once, id_)

    def write(self, id_: int, address: int, data: bytes) -> None:
        """Write memory of one servo and wait for its confirmation."""

        def once() -> tuple[None, int, int]:
            handler, size = self._handler, len(data)
            return None, *handler.writeTxRx(self._port, id_, address, size, list(data))

        self._try(f'writing {data.hex(" ")} at {address} of servo {id_}', once, id_)

    def group_write(self, address: int, data: Mapping[int, bytes]) -> None:
        """Write the same registers of several servos at once; no servo confirms."""
        length = len(next(iter(data.values())))
        key = (address, length)
        if key not in self._writes:
            self._writes[key] = GroupSyncWrite(self._port, self._handler, address, length)
        group = self._writes[key]
        if tuple(group.data_dict) != tuple(data):
            group.clearParam()
        for id_, content in data.items():
            if not (group.changeParam(id_, content) or group.addParam(id_, content)):
                raise ValueError(f'{len(content)} bytes for servo {id_} where {length} fit')
        with self._guard():
            result = group.txPacket()
        if result != COMM_SUCCESS:
            raise NoReplyError(f'group write at {address}: {self._said(result)}')

    def ask_ahead(self, address: int, length: int, ids: Iterable[int]) -> None:
        """Send the question of the group_read() that follows, once fast reads work."""
        if not (self._in_step and self.fast):
            return
        group = self._reader(address, length, tuple(ids))
        with self._guard(GROUP_MARGIN_S):
            if group.fastSyncReadTxPacket() == COMM_SUCCESS:
                self._asked = group

    def group_read(self, address: int, length: int, ids: Iterable[int]) -> dict[int, BlockReply]:
        """Read the same registers of several servos: fast if the servos can, else normal."""
        key = (address, length, tuple(ids))
        group = self._reader(*key)
        result = int(COMM_RX_CORRUPT)
        with contextlib.suppress(NoReplyError), self._guard(GROUP_MARGIN_S):
            result = self._read_group(group)
        if result != COMM_SUCCESS:
            self.misses += 1
            self._in_step = False
            raise NoReplyError(f'group read of {_servos(key[2])}: {self._said(result)}')
        return {i: BlockReply(group.alerts[i], bytes(d)) for i, d in group.data_dict.items()}

    def _said(self, result: int) -> str:
        """Return what went wrong on the line, in plain words where there are any."""
        return LINE_TROUBLE.get(result) or str(self._handler.getTxRxResult(result))

    def _reader(self, address: int, length: int, ids: tuple[int, ...]) -> _Read:
        key = (address, length, ids)
        if key not in self._reads:
            self._reads[key] = _Read(self._port, self._handler, address, length)
            for id_ in ids:
                self._reads[key].addParam(id_)
        return self._reads[key]

    def _read_fast(self, group: _Read) -> int:
        """Ask, unless that is done, and hear; the time for it begins now in any case."""
        asked, self._asked = self._asked is group, None
        if not asked:
            return int(group.fastSyncRead())
        self._port.setPacketTimeout((group.data_length + 4) * len(group.data_dict))
        return group.fastSyncReadRxPacket()

    def _read_group(self, group: _Read) -> int:
        """Read fast, normally, or (undecided) fast and then normally; remember what worked."""
        first = next(iter(group.data_dict))
        if not self._get_in_step(first):
            return int(COMM_RX_TIMEOUT)
        if self.fast is not False:
            result = self._read_fast(group)
            if result == COMM_SUCCESS:
                self.fast, self._fast_failures = True, 0
                return result
            self._fast_failures += 1
            if self.fast and self._fast_failures < FAST_FAILURES:
                return result
            self.fast = None
            self._in_step = False
            if not self._get_in_step(first):
                return int(COMM_RX_TIMEOUT)
        result = int(group.txRxPacket())
        if result == COMM_SUCCESS:
            self.fast = False
        return result

    def reboot(self, id_: int) -> None:
        """Restart one servo."""
        self._try(
            f'reboot of servo {id_}', lambda: (None, *self._handler.reboot(self._port, id_)), id_
        )

    def factory_reset(self, id_: int, scope: int) -> None:
        """Reset the EEPROM of one servo."""
        self._try(
            f'factory reset of servo {id_}',
            lambda: (None, *self._handler.factoryReset(self._port, id_, scope)),
            id_,
        )

    def _ping(self, id_: int) -> tuple[tuple[int, int], int, int]:
        # The SDK's ping() asks twice and drops the firmware version.
        transmit = [0] * 10
        transmit[4], transmit[5], transmit[7] = id_, 3, 1
        received, result, error = self._handler.txRxPacket(self._port, transmit)
        if result != COMM_SUCCESS or len(received) < 14:
            return (0, 0), result or COMM_RX_CORRUPT, error
        return (received[9] | received[10] << 8, received[11]), result, error

    def _get_in_step(self, id_: int) -> bool:
        """After a missing reply: let nothing pass for the next one that answers an older question.

        Replies carry no number and may be late, but they keep their order. A servo is asked for a
        number of bytes that nothing else asks for: once they come, nothing older is on its way.

        Returns:
            Whether they came.
        """
        if self._in_step:
            return True
        length = next(self._marks)
        self._handler.readTx(self._port, id_, 0, length)
        while not self._in_step and not self._port.isPacketTimeout():
            packet, result = self._handler.rxPacket(self._port, False)
            size = packet[5] | packet[6] << 8 if result == COMM_SUCCESS else 0
            self._in_step = size == length + 4 and packet[4] == id_
        return self._in_step

    def _try(
        self,
        what: str,
        once: Callable[[], tuple[Result, int, int]],
        id_: int | None = None,
        tries: int = TRIES,
    ) -> Result:
        """Repeat a single-servo exchange while no servo replies; an error reply counts at once.

        Args:
            what: it is, for the error.
            once: the exchange.
            id_: whose reply must be to this very instruction; None where any is good.
            tries: at most.
        """
        result = 0
        for _ in range(tries):
            result = COMM_RX_TIMEOUT
            with contextlib.suppress(NoReplyError), self._guard():
                if id_ is None or self._get_in_step(id_):
                    value, result, error = once()
            if result == COMM_SUCCESS:
                code = error & 0x7F
                if code:
                    text = self._handler.getRxPacketError(code)
                    raise DeviceError(f'{what}: {text}', code)
                return value
            self.misses += tries > 1
            self._in_step = False
        raise NoReplyError(retry(tries, f'{what}: {self._said(result)}'))

    @contextlib.contextmanager
    def _guard(self, margin_s: float = 0.0) -> Iterator[None]:
        """Turn what the SDK and pyserial throw into our errors, and leave the port usable."""
        if not self._port.is_open:
            raise PortError(f'{self.port}: is not open')
        self._port.margin_s = margin_s or self._margin_s
        try:
            yield
        except serial.SerialTimeoutException as error:  # the line does not take bytes right now
            raise NoReplyError(f'{self.port}: the instruction could not be sent') from error
        except (serial.SerialException, OSError, termios.error) as error:
            raise PortError(self.trouble(error)) from error
        except IndexError as error:  # the SDK trusts length fields
            raise NoReplyError(f'{self.port}: a damaged packet') from error
        finally:
            self._port.is_using = False


def _reason(error: BaseException, port: str) -> str:
    text = str(error)
    if 'exclusively lock' in text or 'busy' in text:
        return f'is in use by {listed(owners(port)) or "another program"}'
    if isinstance(error, OSError) and error.errno == 2:
        return 'does not exist'
    if isinstance(error, OSError) and error.errno == 13:
        return 'is not permitted; on Linux add the user to the group dialout'
    if f'({errno.ENOTTY}, ' in text:
        return 'is not a serial device'
    return f'is gone or broken ({text})'


def _servos(ids: tuple[int, ...]) -> str:
    return f'servo{"s" if len(ids) != 1 else ""} {", ".join(map(str, ids))}'
