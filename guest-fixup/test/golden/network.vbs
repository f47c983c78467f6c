' Written by Slipway: the static addresses of this machine's old network adapters, for its new ones.
Option Explicit
On Error Resume Next
Dim wmi, shell, adapter, failed
Set wmi = GetObject("winmgmts:{impersonationLevel=impersonate}!\\.\root\cimv2")
Set shell = CreateObject("WScript.Shell")
failed = 0

Function AdapterOf(mac)
    Dim tries, found
    Set AdapterOf = Nothing
    For tries = 1 To 150
        For Each found In wmi.ExecQuery("SELECT * FROM Win32_NetworkAdapterConfiguration WHERE IPEnabled=TRUE AND MACAddress='" & mac & "'")
            Set AdapterOf = found
            Exit Function
        Next
        WScript.Sleep 2000
    Next
End Function

Sub Check(what, result)
    If result = 0 Or result = 1 Then
        WScript.Echo what & ": done"
    Else
        WScript.Echo what & ": WMI says " & result
        failed = 1
    End If
End Sub

Sub Problem(what)
    If Err.Number <> 0 Then
        WScript.Echo what & ": " & Err.Description
        failed = 1
        Err.Clear
    End If
End Sub

Sub Run(command)
    WScript.Echo command & ": " & shell.Run(command, 0, True)
End Sub

Set adapter = AdapterOf("52:54:00:12:34:56")
If adapter Is Nothing Then
    WScript.Echo "52:54:00:12:34:56: no adapter with this address has come up"
    failed = 1
ElseIf UCase(adapter.SettingID) = "{58094C24-B1BD-4961-8C68-7C13F7A6213C}" Then
    WScript.Echo "52:54:00:12:34:56: Windows took it for the old adapter, whose settings it has"
Else
    WScript.Echo "52:54:00:12:34:56: " & adapter.Description
    If UCase(adapter.SettingID) <> "{58094C24-B1BD-4961-8C68-7C13F7A6213C}" Then Run """%SystemRoot%\regedit.exe"" /s ""%SystemRoot%\slipway\FirstBoot\files\remove.reg"""
    Check "address", adapter.EnableStatic(Array("10.0.0.5", "10.9.0.5"), Array("255.255.255.0", "255.255.0.0")) : Problem "address"
    Check "gateway", adapter.SetGateways(Array("10.0.0.1"), Array(10)) : Problem "gateway"
    Check "DNS", adapter.SetDNSServerSearchOrder(Array("10.0.0.53", "10.0.0.54")) : Problem "DNS"
    Check "domain", adapter.SetDNSDomain("example.org") : Problem "domain"
    Check "WINS", adapter.SetWINSServer("10.0.0.60", "") : Problem "WINS"
    Check "NetBIOS", adapter.SetTcpipNetbios(2) : Problem "NetBIOS"
    Check "metric", adapter.SetIPConnectionMetric(20) : Problem "metric"
End If

WScript.Quit failed
